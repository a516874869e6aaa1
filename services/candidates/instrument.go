package candidates

import (
	"context"
	"errors"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/freshet/freshet/services/calls"
)

// observed observes each call to Milvus. It stands before failFast, so that it sees the errors which that makes of answers.
func observed(address string) grpc.DialOption {
	_, host, isURL := strings.Cut(address, "://")
	if !isURL {
		host = address
	}
	server := calls.NewServer("milvus", host)
	var operations sync.Map // by gRPC's method, which has Milvus's service in front of the name
	operation := func(method string) *calls.Operation {
		if known, ok := operations.Load(method); ok {
			return known.(*calls.Operation)
		}
		op := server.Operation(method[strings.LastIndexByte(method, '/')+1:])
		operations.Store(method, op)
		return op
	}
	return grpc.WithChainUnaryInterceptor(func(
		ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		if !server.Listened(ctx) {
			return invoke(ctx, method, req, reply, cc, opts...)
		}
		inner, call := operation(method).Begin(ctx)
		if call.Recording() {
			describe(call, req)
		}
		err := invoke(inner, method, req, reply, cc, opts...)
		call.End(ctx, kindOf(err))
		return err
	})
}

// describe tells of a request what is neither an id nor a filter.
func describe(call calls.Call, req any) {
	if r, ok := req.(interface{ GetCollectionName() string }); ok {
		call.On(r.GetCollectionName())
	}
	switch r := req.(type) {
	case interface{ GetNq() int64 }:
		call.Batch(int(r.GetNq()))
	case interface{ GetNumRows() uint32 }:
		call.Batch(int(r.GetNumRows()))
	}
}

// kindOf sorts an error. That something does not exist, or does already, is an answer which the callers here ask for.
func kindOf(err error) calls.Kind {
	if _, answered := errors.AsType[*serverError](err); answered {
		switch {
		case hasCode(err, codeCollectionNotFound, codeIndexNotFound, codeAliasNotFound, codeAliasExists):
			return calls.None
		case hasCode(err, codeMemoryLimit, codeDiskLimit, codeForceDeny):
			return calls.OutOfMemory
		case IsUnavailable(err):
			return calls.Refused
		}
		return calls.Other
	}
	switch status.Code(err) {
	case codes.OK, codes.Canceled:
		return calls.None
	case codes.DeadlineExceeded:
		return calls.Timeout
	case codes.Unavailable:
		return calls.Unreachable
	case codes.Unauthenticated, codes.PermissionDenied, codes.ResourceExhausted:
		return calls.Refused
	}
	return calls.Transport(err)
}

// Codes that say that the quotas of memory or disk are used up: force deny is how Milvus refuses writes from then on.
const (
	codeMemoryLimit = 3
	codeDiskLimit   = 7
	codeForceDeny   = 9
)
