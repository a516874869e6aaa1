package demo

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
)

// process is a set of roles that runs as a process of its own would: it can be stopped in order, and it can be killed.
type process struct {
	*online.System
	cancel context.CancelFunc
	// ended is closed when the roles have ended, err says why.
	ended chan struct{}
	err   error
}

const readyTimeout = 20 * time.Second

// start runs roles and returns when they are ready.
func start(ctx context.Context, s settings.Settings, roles []online.Role, log *slog.Logger) (*process, error) {
	system, err := online.Open(ctx, s, roles, log)
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p := &process{System: system, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.err = system.Run(running)
	}()
	waiting, done := context.WithTimeout(ctx, readyTimeout)
	defer done()
	if err := system.AwaitReady(waiting); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// stop lets the roles finish what they hold. A process that was not started, or was stopped, stays so.
func (p *process) stop() error {
	if p == nil {
		return nil
	}
	p.cancel()
	<-p.ended
	return errors.Join(p.err, p.Close())
}

// kill ends the roles as if the process had died: nothing is committed any more, and the group is not told.
func (p *process) kill() error {
	p.Abort()
	<-p.ended
	p.cancel()
	if !errors.Is(p.err, stream.ErrAborted) {
		return errors.Join(errors.New("the roles had ended before they were killed"), p.err)
	}
	return p.Close()
}
