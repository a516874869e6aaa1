package milvus

import (
	"context"
	"fmt"
	"path"
	"reflect"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// StartProxy listens on a free loopback port and passes every call to the server at target (host:port), which may be a real one.
// Faults are scripted as of a Server that serves by itself.
func StartProxy(ctx context.Context, target string) (*Server, error) {
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("preparing a proxy of Milvus at %s: %w", target, err)
	}
	s, err := Start(ctx, "127.0.0.1:0", func(s *Server) { s.behind = conn })
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

// forward asks the server behind a proxy in place of this one's own handler.
func (s *Server) forward(ctx context.Context, req any, method string) (any, error) {
	if incoming, ok := metadata.FromIncomingContext(ctx); ok {
		kept := metadata.MD{}
		for key, values := range incoming {
			if !strings.HasPrefix(key, ":") && key != "user-agent" && key != "content-type" { // the transport's own
				kept[key] = values
			}
		}
		ctx = metadata.NewOutgoingContext(ctx, kept)
	}
	resp := responseOf(path.Base(method)).Interface()
	if err := s.behind.Invoke(ctx, method, req, resp); err != nil {
		return nil, err
	}
	return resp, nil
}

// responseOf makes an empty response of a method.
func responseOf(method string) reflect.Value {
	m, _ := reflect.TypeFor[milvuspb.MilvusServiceServer]().MethodByName(method)
	return reflect.New(m.Type.Out(0).Elem())
}
