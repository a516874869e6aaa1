package candidates

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/milvus-io/milvus-sdk-go/v2/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/freshet/freshet/schemas/secure"
)

// Connect dials Milvus and waits for its answer, at most DialTimeout; a server that would not have us, or we not it, ends the
// wait at once. ProblemOf says what an error is about.
func Connect(ctx context.Context, cfg Config) (*Index, error) {
	c, err := Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	consistency, err := cfg.consistency()
	if err != nil { // which Dial has validated
		return nil, errors.Join(err, c.Close())
	}
	return &Index{client: c, cfg: cfg, consistency: consistency, dims: make(map[string]int)}, nil
}

// Dial is Connect for who wants the SDK's plain client, as the floors of a bench do.
func Dial(ctx context.Context, cfg Config) (client.Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring Milvus: %w", err)
	}
	options, err := cfg.options()
	if err != nil {
		return nil, fmt.Errorf("configuring Milvus: %w", err)
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	shaker, err := cfg.handshaker(giveUp)
	if err != nil {
		return nil, fmt.Errorf("configuring Milvus: %w", err)
	}
	var made atomic.Pointer[grpc.ClientConn]
	options.DialOptions = append(slices.Clip(options.DialOptions), grpc.WithTransportCredentials(shaker), keep(&made))
	c, err := client.NewClient(ctx, options)
	if err != nil {
		if conn := made.Load(); conn != nil {
			_ = conn.Close()
		}
		err = cause(ctx, shaker, err)
		return nil, fmt.Errorf("connecting to Milvus at %s within %s: %w", cfg.Address, cfg.DialTimeout,
			secure.Refused(ProblemOf(err), err))
	}
	return c, nil
}

// keep remembers the connection: the SDK leaves it open when Milvus refuses the session over it.
func keep(made *atomic.Pointer[grpc.ClientConn]) grpc.DialOption {
	return grpc.WithChainUnaryInterceptor(func(
		ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		made.CompareAndSwap(nil, conn)
		return invoke(ctx, method, req, reply, conn, opts...)
	})
}

// options reads the files that the settings name.
func (c Config) options() (client.Config, error) {
	password, err := secure.ReadSecret("password", c.Password, c.PasswordFile)
	if err != nil {
		return client.Config{}, err
	}
	token, err := secure.ReadSecret("token", c.Token, c.TokenFile)
	if err != nil {
		return client.Config{}, err
	}
	return client.Config{
		Address:  c.Address,
		Username: c.Username,
		Password: password.Reveal(),
		APIKey:   token.Reveal(),
		// DialOptions replace the SDK's defaults, keep-alive and message sizes among them.
		DialOptions:    append(slices.Clip(client.DefaultGrpcOpts), observed(c.Address), failFast()),
		RetryRateLimit: &client.RetryRateLimitOption{},
	}, nil
}

// handshaker are the credentials of a connection that keep the last error: gRPC tries again and again until its context ends,
// and then says no more than that.
type handshaker struct {
	credentials.TransportCredentials
	encryption *tls.Config
	giveUp     context.CancelCauseFunc
	last       *atomic.Pointer[error]
	accepted   *atomic.Bool // whether anybody took a connection
}

func (c Config) handshaker(giveUp context.CancelCauseFunc) (handshaker, error) {
	encryption, err := c.encryption().Load()
	if err != nil {
		return handshaker{}, err
	}
	h := handshaker{insecure.NewCredentials(), encryption, giveUp, new(atomic.Pointer[error]), new(atomic.Bool)}
	if encryption != nil {
		h.TransportCredentials = credentials.NewTLS(encryption)
	}
	return h, nil
}

// ClientHandshake implements credentials.TransportCredentials.
func (h handshaker) ClientHandshake(
	ctx context.Context, authority string, raw net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	h.accepted.Store(true)
	conn, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err == nil {
		return conn, info, nil
	}
	if h.encryption != nil {
		err = fmt.Errorf("agreeing on TLS: %w", secure.Refused(handshakeProblem(err), err))
	}
	// Our own deadline may end the newest of many handshakes, which says nothing of the server.
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		h.last.Store(&err)
	}
	if secure.IsRefused(err) {
		h.giveUp(err)
	}
	return nil, nil, err
}

// handshakeProblem knows that a server which hangs up in a handshake does not speak TLS.
func handshakeProblem(err error) secure.Problem {
	for _, hungUp := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET} {
		if errors.Is(err, hungUp) {
			return secure.NoTLS
		}
	}
	return secure.ProblemOf(err)
}

// Clone implements credentials.TransportCredentials.
func (h handshaker) Clone() credentials.TransportCredentials {
	h.TransportCredentials = h.TransportCredentials.Clone()
	return h
}

// cause is what stood behind err, as far as anybody knows.
func cause(ctx context.Context, h handshaker, err error) error {
	if last := h.last.Load(); last != nil {
		return *last
	}
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	if h.accepted.Load() {
		return &strangerError{err}
	}
	return fmt.Errorf("nothing answers: %w", err)
}

// strangerError tells a server that takes connections and then does not speak as Milvus does from one that is away: it is
// something else, or wants TLS where we have none, or a certificate that it does not ask for before the handshake is over for us.
type strangerError struct{ err error }

func (e *strangerError) Error() string {
	return "something takes connections there but does not answer as Milvus does: " + e.err.Error()
}
func (e *strangerError) Unwrap() error { return e.err }

// ProblemOf is secure.ProblemOf with what Milvus itself says.
func ProblemOf(err error) secure.Problem {
	if p := secure.ProblemOf(err); p != secure.Unclear {
		return p
	}
	if _, ok := errors.AsType[*strangerError](err); ok {
		return secure.Unclear
	}
	switch status.Code(err) {
	case codes.Unauthenticated:
		return secure.Credentials
	case codes.PermissionDenied:
		return secure.Denied
	case codes.Unavailable, codes.DeadlineExceeded:
		return secure.Unreachable
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return secure.Unreachable
	}
	return secure.Unclear
}

// IsRefused says whether Milvus would not have us: a certificate, a user or a right that an operator has to mend.
func IsRefused(err error) bool {
	p := ProblemOf(err)
	return p != secure.Unclear && p != secure.Unreachable
}
