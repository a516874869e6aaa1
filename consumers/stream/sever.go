package stream

import (
	"context"
	"errors"
	"net"
	"sync"
)

var errSevered = errors.New("the connections were cut")

// severable makes connections that can all be cut at once. A member that is stopped at once cuts those to the coordinator:
// kafka-go would otherwise leave the group politely, for which it may have to dial a broker that does not answer.
type severable struct {
	dialer net.Dialer // below TLS, so that nothing has to be said to a peer that may not listen

	mu      sync.Mutex
	open    map[net.Conn]struct{}
	severed bool
}

func newSeverable(dialer net.Dialer) *severable {
	return &severable{dialer: dialer, open: make(map[net.Conn]struct{})}
}

func (s *severable) dial(ctx context.Context, network, address string) (net.Conn, error) {
	s.mu.Lock()
	severed := s.severed
	s.mu.Unlock()
	if severed {
		return nil, errSevered
	}
	conn, err := s.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &severableConn{Conn: conn, from: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.severed {
		_ = conn.Close()
		return nil, errSevered
	}
	s.open[c] = struct{}{}
	return c, nil
}

// sever closes every connection and refuses new ones.
func (s *severable) sever() {
	s.mu.Lock()
	open := s.open
	s.open, s.severed = nil, true
	s.mu.Unlock()
	for c := range open {
		_ = c.(*severableConn).Conn.Close()
	}
}

type severableConn struct {
	net.Conn
	from *severable
}

// Close implements net.Conn.
func (c *severableConn) Close() error {
	c.from.mu.Lock()
	delete(c.from.open, c)
	c.from.mu.Unlock()
	return c.Conn.Close()
}
