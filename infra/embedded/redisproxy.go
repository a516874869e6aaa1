package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/freshet/freshet/infra/embedded/faults"
)

// RedisProxy stands in front of a Redis and scripts faults of it as Redis does of itself: the server behind it may be a real one.
// It passes one command at a time for each connection, knows neither TLS nor subscriptions, and does not follow a cluster's
// redirections.
type RedisProxy struct {
	addr, target string
	plan         faults.Plan
	ctx          context.Context // ends with Close; held calls end with it
	cancel       context.CancelFunc

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]struct{}
	serving  sync.WaitGroup
}

// StartRedisProxy listens on a free loopback port and passes everything to target (host:port).
func StartRedisProxy(ctx context.Context, target string) (*RedisProxy, error) {
	p := &RedisProxy{addr: "127.0.0.1:0", target: target, open: map[net.Conn]struct{}{}}
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := p.Restart(); err != nil {
		return nil, err
	}
	return p, nil
}

// Addr is the proxy's host:port, also while it is stopped.
func (p *RedisProxy) Addr() string { return p.addr }

// Close stops the proxy for good.
func (p *RedisProxy) Close() {
	p.cancel()
	p.Stop()
}

// Stop closes the port and all connections: to clients the server is away.
func (p *RedisProxy) Stop() {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
	for conn := range p.open {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.serving.Wait()
}

// Restart opens the port again after Stop.
func (p *RedisProxy) Restart() error {
	listener, err := (&net.ListenConfig{}).Listen(p.ctx, "tcp", p.addr)
	if err != nil {
		return fmt.Errorf("starting the proxy of Redis at %s on %s: %w", p.target, p.addr, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addr, p.listener = listener.Addr().String(), listener
	p.serving.Go(func() { p.accept(listener) })
	return nil
}

// Fail answers the nth call of command with an error reply, as Redis.Fail does.
func (p *RedisProxy) Fail(command string, nth int, reply string) {
	p.plan.Add(command, nth, faults.Effect{Err: replyError(reply)})
}

// FailNext is Fail for the next call.
func (p *RedisProxy) FailNext(command, reply string) { p.Fail(command, 1, reply) }

// Delay holds the nth call of command back for d, then serves it.
func (p *RedisProxy) Delay(command string, nth int, d time.Duration) {
	p.plan.Add(command, nth, faults.Effect{Wait: d})
}

// Sever closes the connection of the nth call of command without running it.
func (p *RedisProxy) Sever(command string, nth int) {
	p.plan.Add(command, nth, faults.Effect{Sever: true})
}

// ClearFaults drops all scripted faults.
func (p *RedisProxy) ClearFaults() { p.plan.Clear() }

// Calls returns how many calls of command have come; faults.Any counts all.
func (p *RedisProxy) Calls(command string) int { return p.plan.Calls(command) }

func (p *RedisProxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return // stopped
		}
		p.serving.Go(func() { p.serve(listener, client) })
	}
}

// keep notes a connection that Stop closes; false says that Stop came first.
func (p *RedisProxy) keep(listener net.Listener, conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != listener {
		return false
	}
	p.open[conn] = struct{}{}
	return true
}

func (p *RedisProxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, conn)
	_ = conn.Close()
}

func (p *RedisProxy) serve(listener net.Listener, client net.Conn) {
	defer p.drop(client)
	if !p.keep(listener, client) {
		return
	}
	server, err := (&net.Dialer{}).DialContext(p.ctx, "tcp", p.target)
	if err != nil {
		return
	}
	defer p.drop(server)
	if !p.keep(listener, server) {
		return
	}
	in, out := resp{bufio.NewReader(client)}, bufio.NewWriter(client)
	replies := resp{bufio.NewReader(server)}
	for {
		command, err := in.next(nil)
		if err != nil || p.pass(command, server, replies, out) != nil {
			return
		}
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
	}
}

var errSevered = errors.New("severed")

// pass gives one command its effect: the server's reply, or what the script says.
func (p *RedisProxy) pass(command []byte, server net.Conn, replies resp, out *bufio.Writer) error {
	effect := p.plan.Next(commandName(command))
	if err := faults.Hold(p.ctx, effect.Wait); err != nil {
		return err
	}
	if effect.Sever {
		return errSevered
	}
	if effect.Err != nil {
		_, err := fmt.Fprintf(out, "-%s\r\n", effect.Err)
		return err
	}
	if _, err := server.Write(command); err != nil {
		return err
	}
	reply, err := replies.next(nil)
	if err != nil {
		return err
	}
	_, err = out.Write(reply)
	return err
}

// commandName is the first string of a command, "*2\r\n$3\r\nGET\r\n…", in upper case.
func commandName(command []byte) string {
	parts := strings.SplitN(string(command), "\r\n", 4)
	if len(parts) < 3 {
		return ""
	}
	return strings.ToUpper(parts[2])
}

// resp reads values of the Redis protocol, versions 2 and 3, whole and undecoded.
type resp struct{ *bufio.Reader }

// next appends the next value to dst.
func (r resp) next(dst []byte) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	kind := line[0]
	dst = append(dst, line...)
	size, _ := strconv.Atoi(strings.TrimRight(string(line[1:]), "\r\n")) // of the kinds that have one
	switch kind {
	case '$', '=', '!': // a string, but for -1, which is none
		if size < 0 {
			return dst, nil
		}
		at := len(dst)
		dst = append(dst, make([]byte, size+len("\r\n"))...)
		_, err := io.ReadFull(r, dst[at:])
		return dst, err
	case '%': // a map
		size *= 2
	case '|': // attributes of the value that follows
		size = 2*size + 1
	case '*', '~', '>': // a list
	default: // all is on the line
		return dst, nil
	}
	for range size {
		if dst, err = r.next(dst); err != nil {
			return nil, err
		}
	}
	return dst, nil
}
