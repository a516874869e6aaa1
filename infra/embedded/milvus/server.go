package milvus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/freshet/freshet/infra/embedded/faults"
)

// version is what the server says it is: the release that it was compared with.
const version = "v2.3.5-embedded"

// maxMessage is a real proxy's default limit on one request (proxy.grpc.serverMaxRecvSize).
const maxMessage = 64 << 20

// Server is a Milvus on a loopback port.
type Server struct {
	milvuspb.UnimplementedMilvusServiceServer

	addr  string
	tls   *tls.Config
	plan  faults.Plan
	clock atomic.Uint64 // timestamps of writes, and ids

	mu          sync.RWMutex // guards the two maps; each collection guards its own rows
	collections map[string]*collection
	aliases     map[string]string // alias -> collection name

	access access

	behind *grpc.ClientConn // of a proxy

	serving sync.Mutex // guards grpc and served
	grpc    *grpc.Server
	served  chan struct{}
}

// Start listens on addr (host:port, port 0 takes a free one) and serves. ctx bounds the start only.
func Start(ctx context.Context, addr string, options ...Option) (*Server, error) {
	s := &Server{collections: make(map[string]*collection), aliases: make(map[string]string)}
	for _, option := range options {
		option(s)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("starting embedded Milvus on %s: %w", addr, err)
	}
	s.addr = listener.Addr().String()
	s.serve(listener)
	return s, nil
}

func (s *Server) serve(listener net.Listener) {
	g := grpc.NewServer(
		grpc.Creds(s.credentials()),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.UnaryInterceptor(s.intercept),
		// The SDK pings every five seconds; grpc's default policy would take that for an attack and hang up.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
	)
	milvuspb.RegisterMilvusServiceServer(g, s)
	served := make(chan struct{})
	s.serving.Lock()
	s.grpc, s.served = g, served
	s.serving.Unlock()
	go func() {
		defer close(served)
		_ = g.Serve(listener) // ends with Stop
	}()
}

// Addr is the server's host:port, also while it is stopped.
func (s *Server) Addr() string { return s.addr }

// Close stops the server. It may be called more than once.
func (s *Server) Close() {
	s.Stop()
	if s.behind != nil {
		_ = s.behind.Close()
	}
}

// Stop closes the port and all connections, breaks off calls under way and keeps the data, as a server that is restarted does.
func (s *Server) Stop() {
	s.serving.Lock()
	defer s.serving.Unlock()
	if s.grpc == nil {
		return
	}
	s.grpc.Stop()
	<-s.served
	s.grpc = nil
}

// Restart opens the port again after Stop.
func (s *Server) Restart(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("restarting embedded Milvus on %s: %w", s.addr, err)
	}
	s.serve(listener)
	return nil
}

// Fail answers the nth call of method from now on ("Search"; 1 is the next call, faults.Every each, faults.Any as method
// all of them) with err and does not serve it: a *StatusError within a successful RPC, a gRPC status as it is, any
// other error as codes.Unavailable.
func (s *Server) Fail(method string, nth int, err error) {
	s.plan.Add(method, nth, faults.Effect{Err: err})
}

// FailAfter is Fail, but the call is served before the error is answered: a client whose connection broke on the way back.
func (s *Server) FailAfter(method string, nth int, err error) {
	s.plan.Add(method, nth, faults.Effect{Err: err, Serve: true})
}

// Delay holds the nth call of method back for d, then serves it.
func (s *Server) Delay(method string, nth int, d time.Duration) {
	s.plan.Add(method, nth, faults.Effect{Wait: d})
}

// ClearFaults drops all scripted faults.
func (s *Server) ClearFaults() { s.plan.Clear() }

// Calls returns how many calls of method the server has seen; faults.Any counts all.
func (s *Server) Calls(method string) int { return s.plan.Calls(method) }

func (s *Server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	method := path.Base(info.FullMethod)
	if err := s.access.check(ctx, req); err != nil {
		return nil, err
	}
	if s.behind != nil {
		handler = func(ctx context.Context, req any) (any, error) { return s.forward(ctx, req, info.FullMethod) }
	}
	effect := s.plan.Next(method)
	if err := faults.Hold(ctx, effect.Wait); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	if effect.Err == nil {
		return handler(ctx, req)
	}
	if effect.Serve {
		if resp, err := handler(ctx, req); err != nil {
			return resp, err
		}
	}
	if se, ok := errors.AsType[*StatusError](effect.Err); ok {
		return s.refusal(method, se), nil
	}
	if st, ok := status.FromError(effect.Err); ok {
		return nil, st.Err()
	}
	return nil, status.Error(codes.Unavailable, effect.Err.Error())
}

// refusal makes the response of method that carries se: a bare status, or a message with a field Status.
func (s *Server) refusal(method string, se *StatusError) any {
	st := statusOf(se)
	resp := responseOf(method)
	if _, bare := reflect.TypeAssert[*commonpb.Status](resp); bare {
		return st
	}
	resp.Elem().FieldByName("Status").Set(reflect.ValueOf(st))
	return resp.Interface()
}

// tick returns a number larger than all before it.
func (s *Server) tick() uint64 { return s.clock.Add(1) }

// Connect opens a session.
func (s *Server) Connect(context.Context, *milvuspb.ConnectRequest) (*milvuspb.ConnectResponse, error) {
	return &milvuspb.ConnectResponse{
		Status:     statusOf(nil),
		ServerInfo: &commonpb.ServerInfo{BuildTags: version, DeployMode: "EMBEDDED"},
		Identifier: int64(s.tick()),
	}, nil
}

// GetVersion names the release that the server stands in for.
func (s *Server) GetVersion(context.Context, *milvuspb.GetVersionRequest) (*milvuspb.GetVersionResponse, error) {
	return &milvuspb.GetVersionResponse{Status: statusOf(nil), Version: version}, nil
}

// CheckHealth says that the server is healthy.
func (s *Server) CheckHealth(context.Context, *milvuspb.CheckHealthRequest) (*milvuspb.CheckHealthResponse, error) {
	return &milvuspb.CheckHealthResponse{Status: statusOf(nil), IsHealthy: true}, nil
}
