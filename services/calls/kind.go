package calls

import (
	"context"
	"errors"
	"io"
	"net"
)

// Kind says in one word why a call failed.
type Kind string

const (
	// None is no failure of the server: the call succeeded, its caller gave up, or the answer was one of those that the caller
	// asked for ("there is no such key").
	None Kind = ""
	// Timeout says that no answer came in time.
	Timeout Kind = "timeout"
	// Unreachable says that there was no connection, or that it was lost.
	Unreachable Kind = "unreachable"
	// Refused says that the server answered that it does not serve this call, or not now: permissions, loading, rate limit.
	Refused Kind = "refused"
	// OutOfMemory says that the server has no room for what was to be written.
	OutOfMemory Kind = "out_of_memory"
	// Other is every other error answer.
	Other Kind = "other"
)

// kinds are all kinds of failure.
var kinds = []Kind{Timeout, Unreachable, Refused, OutOfMemory, Other}

// Transport sorts errors that say nothing of the server itself: contexts and connections. What it does not know is Other.
func Transport(err error) Kind {
	var network net.Error
	isNetwork := errors.As(err, &network)
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return None
	case errors.Is(err, context.DeadlineExceeded), isNetwork && network.Timeout():
		return Timeout
	case isNetwork, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return Unreachable
	}
	return Other
}
