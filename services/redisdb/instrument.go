package redisdb

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/services/calls"
)

// instrument observes the client's calls and pipelines. The hook is our own: redisotel builds the text of every command of a
// pipeline, keys and all, whether it shows it or not, and writes errors as they are.
func instrument(rdb redis.UniversalClient) {
	address := "" // the nodes of a cluster have many
	if single, ok := rdb.(*redis.Client); ok {
		address = single.Options().Addr
	}
	rdb.AddHook(&observer{server: calls.NewServer("redis", address)})
}

// observer is a redis.Hook. On a cluster it sits above the nodes, so that one pipeline is one call.
type observer struct {
	server *calls.Server
	// singles and pipelines map go-redis's names of commands to their operations.
	singles, pipelines sync.Map
}

// DialHook observes nothing: a call that finds no connection fails itself.
func (o *observer) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (o *observer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !o.server.Listened(ctx) || greets(cmd) {
			return next(ctx, cmd)
		}
		inner, call := o.operation(&o.singles, cmd.Name(), "").Begin(ctx)
		err := next(inner, cmd)
		call.End(ctx, kindOf(err))
		return err
	}
}

func (o *observer) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !o.server.Listened(ctx) || len(cmds) == 0 || greets(cmds[0]) {
			return next(ctx, cmds)
		}
		inner, call := o.operation(&o.pipelines, common(cmds), "PIPELINE").Begin(ctx)
		call.Batch(len(cmds))
		err := next(inner, cmds)
		call.End(ctx, kindOfPipeline(err, cmds))
		return err
	}
}

// greets tells that go-redis itself sends the command, over each new connection. What an old server does not understand of
// these go-redis does without, and what it cannot do without fails the call that needed the connection.
func greets(cmd redis.Cmder) bool {
	switch cmd.Name() {
	case "hello", "client", "auth", "select", "readonly":
		return true
	}
	return false
}

// operation names a call as the conventions for Redis do: GET, PIPELINE GET, PIPELINE where the commands differ.
func (o *observer) operation(known *sync.Map, command, prefix string) *calls.Operation {
	if op, ok := known.Load(command); ok {
		return op.(*calls.Operation)
	}
	op := o.server.Operation(strings.TrimSpace(prefix + " " + strings.ToUpper(command)))
	known.Store(command, op)
	return op
}

// common is the name that all commands share; empty where they differ.
func common(cmds []redis.Cmder) string {
	name := ""
	for i, cmd := range cmds {
		switch {
		case i == 0:
			name = cmd.Name()
		case cmd.Name() != name:
			return ""
		}
	}
	return name
}

// kindOfPipeline is the kind of the first command that really failed: err may be that of one which found no value.
func kindOfPipeline(err error, cmds []redis.Cmder) calls.Kind {
	if kind := kindOf(err); err == nil || kind != calls.None {
		return kind
	}
	for _, cmd := range cmds {
		if kind := kindOf(cmd.Err()); kind != calls.None {
			return kind
		}
	}
	return calls.None
}

// kindOf sorts an error. A missing value, a script that the server has to be sent first and a record that our script could
// not read are no failures of Redis.
func kindOf(err error) calls.Kind {
	var answer redis.Error
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		return calls.None
	case !errors.As(err, &answer):
		return kindOfConnection(err)
	case redis.HasErrorPrefix(err, "NOSCRIPT"), redis.HasErrorPrefix(err, "UNREADABLE"):
		return calls.None
	case redis.IsOOMError(err):
		return calls.OutOfMemory
	case redis.IsAuthError(err), redis.IsPermissionError(err), redis.IsLoadingError(err), redis.IsReadOnlyError(err),
		redis.IsClusterDownError(err), redis.IsMasterDownError(err), redis.IsTryAgainError(err), redis.IsMaxClientsError(err),
		redis.IsNoReplicasError(err), redis.HasErrorPrefix(err, "MISCONF"), redis.HasErrorPrefix(err, "BUSY"):
		return calls.Refused
	}
	return calls.Other
}

func kindOfConnection(err error) calls.Kind {
	if errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) {
		return calls.Timeout
	}
	return calls.Transport(err)
}
