package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sync/errgroup"
)

const (
	// probeTimeout bounds one try to find out whether a server serves.
	probeTimeout = 5 * time.Second
	probePause   = 50 * time.Millisecond
	// stopPatience is how long a server may take to end in order before it is killed.
	stopPatience = 30 * time.Second
)

// Servers are the servers of one folder. Its methods may be called by several goroutines and processes at a time.
type Servers struct {
	// Progress is told, in lines, of installations and starts. Set it before the first call; nil says nothing.
	Progress io.Writer

	dir string
	// shift is added to every port, so that this package's tests may run beside servers that are in use.
	shift       int
	description Description
	units       []unit
	saying      sync.Mutex
}

// DefaultDir is $FRESHET_SERVERS_DIR or, without it, freshet-servers in the user's cache folder.
func DefaultDir() (string, error) {
	if dir := os.Getenv("FRESHET_SERVERS_DIR"); dir != "" {
		return filepath.Abs(dir)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("looking for the cache folder: %w; set FRESHET_SERVERS_DIR", err)
	}
	return filepath.Join(cache, "freshet-servers"), nil
}

// Open prepares a folder: its certificates, users and servers.json. An empty dir means DefaultDir. It starts nothing.
// $FRESHET_SERVERS_SHIFT is added to every port, so that the servers of another folder may run beside those in use.
func Open(dir string) (*Servers, error) {
	shift := 0
	if text := os.Getenv("FRESHET_SERVERS_SHIFT"); text != "" {
		var err error
		if shift, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("FRESHET_SERVERS_SHIFT is %q: give a number, such as 1000", text)
		}
	}
	return openAt(dir, shift)
}

func openAt(dir string, shift int) (*Servers, error) {
	if dir == "" {
		var err error
		if dir, err = DefaultDir(); err != nil {
			return nil, err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, inner := range []string{"run", "tls", "install"} {
		if err := os.MkdirAll(filepath.Join(dir, inner), 0o700); err != nil {
			return nil, fmt.Errorf("preparing %s: %w", dir, err)
		}
	}
	s := &Servers{dir: dir, shift: shift}
	unlock, err := s.lock(context.Background(), "files")
	if err != nil {
		return nil, err
	}
	defer unlock()
	if s.description, err = describe(dir, shift); err != nil {
		return nil, err
	}
	if err := ensureCertificates(filepath.Join(dir, "tls")); err != nil {
		return nil, err
	}
	s.units = s.catalogue()
	return s, nil
}

// Dir is the folder.
func (s *Servers) Dir() string { return s.dir }

// Description says where the servers listen and who is let in.
func (s *Servers) Description() Description { return s.description }

// lock keeps other processes, and other callers in this one, from doing the same at the same time.
func (s *Servers) lock(ctx context.Context, name string) (unlock func(), err error) {
	lock := flock.New(filepath.Join(s.dir, name+".lock"))
	if _, err := lock.TryLockContext(ctx, probePause); err != nil {
		return nil, fmt.Errorf("waiting for whoever else starts or stops servers in %s: %w", s.dir, err)
	}
	return func() { _ = lock.Unlock() }, nil
}

func (s *Servers) say(format string, args ...any) {
	if s.Progress == nil {
		return
	}
	s.saying.Lock()
	defer s.saying.Unlock()
	fmt.Fprintf(s.Progress, format+"\n", args...)
}

// Up installs, starts and awaits the named servers and those that they need; without names, all. What runs already is only
// awaited; what is paused goes on. A server that this call started and that does not come to serve is stopped again.
func (s *Servers) Up(ctx context.Context, names ...string) error {
	chosen, err := s.choose(names, true)
	if err != nil {
		return err
	}
	unlock, err := s.lock(ctx, "servers")
	if err != nil {
		return err
	}
	defer unlock()
	for _, u := range chosen {
		if err := u.install(ctx); err != nil {
			return err
		}
	}
	// Nothing is needed that needs something itself: two rounds are enough.
	for _, needy := range []bool{false, true} {
		starting, ctx := errgroup.WithContext(ctx)
		for _, u := range chosen {
			if (len(u.needs) > 0) == needy {
				starting.Go(func() error { return s.start(ctx, u) })
			}
		}
		if err := starting.Wait(); err != nil {
			return err
		}
	}
	return s.settleCluster(ctx, chosen)
}

// Start is Up for one server.
func (s *Servers) Start(ctx context.Context, name string) error { return s.Up(ctx, name) }

// start makes one server serve.
func (s *Servers) start(ctx context.Context, u unit) error {
	begin := time.Now()
	p, condition, err := s.find(u.name)
	if err != nil {
		return err
	}
	switch condition {
	case running:
	case paused:
		s.say("%s: paused, goes on", u.name)
		if err := send(p, resume); err != nil {
			return err
		}
	case gone:
		s.say("%s: starting", u.name)
		if p, err = s.launch(ctx, u); err != nil {
			return err
		}
	}
	if err := s.await(ctx, u, p); err != nil {
		if condition == gone {
			err = errors.Join(err, s.end(u.name, stopPatience))
		}
		return err
	}
	s.say("%s: serves (%s)", u.name, time.Since(begin).Round(10*time.Millisecond))
	return nil
}

// launch starts the process of a server that has none.
func (s *Servers) launch(ctx context.Context, u unit) (process, error) {
	s.forget(u.name)
	for _, port := range u.ports {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loopback(port))
		if err != nil {
			return process{}, fmt.Errorf("starting %s: %w: stop what listens on port %d (`ss -ltnp` names it)", u.name, err, port)
		}
		if err := listener.Close(); err != nil {
			return process{}, err
		}
	}
	if err := os.MkdirAll(s.folder(u.name), 0o700); err != nil {
		return process{}, err
	}
	c, err := u.prepare(ctx)
	if err != nil {
		return process{}, fmt.Errorf("preparing %s: %w", u.name, err)
	}
	// The log tells of one run; the one before is kept.
	log := s.logPath(u.name)
	if err := os.Rename(log, log+".old"); err != nil && !os.IsNotExist(err) {
		return process{}, err
	}
	return s.spawn(u.name, c)
}

// await waits until a server serves.
func (s *Servers) await(ctx context.Context, u unit, p process) error {
	ctx, cancel := context.WithTimeout(ctx, u.patience)
	defer cancel()
	for {
		err := s.try(ctx, u)
		if err == nil {
			return nil
		}
		if look(p) == gone {
			text, _ := os.ReadFile(s.logPath(u.name))
			return fmt.Errorf("starting %s: it ended; its log (%s) ends with\n%s", u.name, s.logPath(u.name), tail(text, 20))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s to serve: %w; its log is %s; last it answered: %w", u.name, ctx.Err(), s.logPath(u.name), err)
		case <-time.After(probePause):
		}
	}
}

func (s *Servers) try(ctx context.Context, u unit) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return u.probe(ctx)
}

// Down stops the named servers in order; without names, all.
func (s *Servers) Down(ctx context.Context, names ...string) error {
	chosen, err := s.choose(names, false)
	if err != nil {
		return err
	}
	unlock, err := s.lock(ctx, "servers")
	if err != nil {
		return err
	}
	defer unlock()
	var stopping errgroup.Group
	for _, u := range chosen {
		stopping.Go(func() error { return s.end(u.name, stopPatience) })
	}
	return stopping.Wait()
}

// Stop ends a server in order (SIGTERM) and returns when it is gone.
func (s *Servers) Stop(name string) error { return s.Down(context.Background(), name) }

// Kill ends a server as a crash does (SIGKILL) and returns when it is gone.
func (s *Servers) Kill(name string) error {
	return s.each(name, func(u unit) error { return s.end(u.name, 0) })
}

// Pause makes a server hang (SIGSTOP): its connections stay open and nothing is answered.
func (s *Servers) Pause(name string) error {
	return s.signal(name, func(p process) error { return send(p, suspend) })
}

// Resume ends a Pause.
func (s *Servers) Resume(name string) error {
	return s.signal(name, func(p process) error { return send(p, resume) })
}

func (s *Servers) each(name string, do func(u unit) error) error {
	chosen, err := s.choose([]string{name}, false)
	for i := 0; err == nil && i < len(chosen); i++ {
		err = do(chosen[i])
	}
	return err
}

func (s *Servers) signal(name string, do func(p process) error) error {
	return s.each(name, func(u unit) error {
		p, condition, err := s.find(u.name)
		if err == nil && condition == gone {
			err = fmt.Errorf("%s does not run", u.name)
		}
		if err != nil {
			return err
		}
		return do(p)
	})
}

// end ends a process, in order if there is patience for it, and forgets it. Not running is fine.
func (s *Servers) end(name string, patience time.Duration) error {
	p, condition, err := s.find(name)
	if err != nil {
		return err
	}
	if condition != gone {
		s.say("%s: %s", name, map[bool]string{true: "stopping", false: "killing"}[patience > 0])
	}
	if patience > 0 {
		// A paused process sees the signal when it goes on.
		if err := errors.Join(send(p, terminate), send(p, resume)); err != nil {
			return err
		}
	}
	if !awaitEnd(p, patience) {
		if err := send(p, kill); err != nil {
			return err
		}
		if !awaitEnd(p, stopPatience) {
			return fmt.Errorf("killing %s: process %d is still there", name, p.PID)
		}
	}
	s.forget(name)
	return nil
}

// forget removes the record of a process that is gone.
func (s *Servers) forget(name string) {
	if p, condition, err := s.find(name); err == nil && condition == gone && p.PID != 0 {
		_ = os.Remove(s.recordPath(name))
		// Milvus leaves this behind, at a place of its own choosing.
		_ = os.Remove(fmt.Sprintf("/tmp/milvus/server_id_%d", p.PID))
	}
}

// Wipe stops the named servers and removes their data; without names, all.
func (s *Servers) Wipe(ctx context.Context, names ...string) error {
	if err := s.Down(ctx, names...); err != nil {
		return err
	}
	chosen, err := s.choose(names, false)
	if err != nil {
		return err
	}
	for _, u := range chosen {
		if err := os.RemoveAll(s.folder(u.name)); err != nil {
			return fmt.Errorf("removing the data of %s: %w", u.name, err)
		}
	}
	return nil
}

// State is what Status says of one server.
type State struct {
	Name string
	// Condition is down, running or paused.
	Condition string
	// PID is 0 unless there is a process.
	PID     int
	Address string
	// Problem says why a process that is there does not serve; nil means that it does.
	Problem error
}

// Status looks at every server and waits for none.
func (s *Servers) Status(ctx context.Context) ([]State, error) {
	states := make([]State, len(s.units))
	var looking errgroup.Group
	for i, u := range s.units {
		looking.Go(func() error {
			p, condition, err := s.find(u.name)
			if err != nil {
				return err
			}
			states[i] = State{Name: u.name, Condition: condition.String(), Address: loopback(u.ports[0])}
			switch condition {
			case running:
				states[i].PID, states[i].Problem = p.PID, s.try(ctx, u)
			case paused:
				states[i].PID, states[i].Problem = p.PID, errors.New("it is paused")
			case gone:
			}
			return nil
		})
	}
	return states, looking.Wait()
}

// folder holds a server's settings, log and data.
func (s *Servers) folder(name string) string { return filepath.Join(s.dir, name) }

func (s *Servers) tlsFile(name string) string { return filepath.Join(s.dir, "tls", name) }
