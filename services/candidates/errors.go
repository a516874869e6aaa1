package candidates

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Codes of Milvus (pkg/util/merr) that decide what a caller does.
const (
	codeNotReady           = 1
	codeUnavailable        = 2
	codeRequestLimit       = 4
	codeRateLimit          = 8
	codeCollectionNotFound = 100
	codeNotLoaded          = 101
	codeNotFullyLoaded     = 103
	codeNoReplica          = 401
	codeNoChannel          = 503
	codeIndexNotFound      = 700
	codeNodeNotAvailable   = 905
	codeAliasNotFound      = 1600
	codeAliasExists        = 1602
)

// serverError is a Milvus status other than success.
type serverError struct {
	code      int32
	retriable bool
	reason    string
}

func (e *serverError) Error() string { return fmt.Sprintf("milvus: %s (code %d)", e.reason, e.code) }

// errorOf is nil for success. Milvus up to 2.2 sets ErrorCode alone, milvus-lite Code alone; the SDK looks at the former only.
func errorOf(st *commonpb.Status) error {
	code, legacy := st.GetCode(), st.GetErrorCode() //nolint:staticcheck // old servers set nothing else
	if code == 0 && legacy == commonpb.ErrorCode_Success {
		return nil
	}
	if code == 0 {
		switch legacy {
		case commonpb.ErrorCode_CollectionNotExists:
			code = codeCollectionNotFound
		case commonpb.ErrorCode_NotReadyServe:
			code = codeNotReady
		case commonpb.ErrorCode_RateLimit:
			code = codeRateLimit
		}
	}
	return &serverError{code: code, retriable: st.GetRetriable(), reason: st.GetReason()}
}

func hasCode(err error, wanted ...int32) bool {
	var se *serverError
	if !errors.As(err, &se) {
		return false
	}
	return slices.Contains(wanted, se.code)
}

// IsNotFound tells that the model version has no collection.
func IsNotFound(err error) bool { return hasCode(err, codeCollectionNotFound) }

var errNoLive = errors.New("no live collection: run `freshet rebuild candidates`; of a new installation, `freshet run catalogue`")

// IsNoLive tells that no collection is live.
func IsNoLive(err error) bool { return errors.Is(err, errNoLive) }

// IsUnavailable tells that Milvus was away, too slow, overloaded or still loading: the same call may succeed later.
func IsUnavailable(err error) bool {
	if err == nil {
		return false
	}
	if se, ok := errors.AsType[*serverError](err); ok {
		return se.retriable || hasCode(err, codeNotReady, codeUnavailable, codeRequestLimit, codeRateLimit, codeNotLoaded,
			codeNotFullyLoaded, codeNoReplica, codeNoChannel, codeNodeNotAvailable)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted:
		return true
	}
	return false
}
