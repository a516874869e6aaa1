package milvus

import (
	"errors"
	"fmt"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
)

// Codes of Milvus 2.3 (pkg/util/merr).
const (
	codeCollectionNotFound  = 100
	codeCollectionNotLoaded = 101
	codePartitionNotFound   = 200
	codeIndexNotFound       = 700
	codeInvalidParameter    = 1100
	codeAliasNotFound       = 1600
	codeAliasNameConflict   = 1601
	codeAliasExists         = 1602
	codeUnexpected          = 65535
)

// StatusError is an answer that reaches the client as a Milvus status within a successful RPC.
type StatusError struct {
	Code   int32
	Reason string
}

func (e *StatusError) Error() string { return e.Reason }

func statusErrorf(code int32, format string, args ...any) error {
	return &StatusError{Code: code, Reason: fmt.Sprintf(format, args...)}
}

func unexpectedf(format string, args ...any) error {
	return statusErrorf(codeUnexpected, format, args...)
}

func invalidf(expected, actual, format string, args ...any) error {
	return statusErrorf(codeInvalidParameter, "%s: invalid parameter[expected=%s][actual=%s]",
		fmt.Sprintf(format, args...), expected, actual)
}

func collectionNotFound(name string) error {
	return statusErrorf(codeCollectionNotFound, "collection not found[database=default][collection=%s]", name)
}

// statusOf is the wire form of err; nil is success. Besides the code it sets the error code of Milvus 2.2, since the SDK looks at
// that one alone.
func statusOf(err error) *commonpb.Status {
	if err == nil {
		return &commonpb.Status{}
	}
	code := int32(codeUnexpected)
	if se, ok := errors.AsType[*StatusError](err); ok {
		code = se.Code
	}
	return &commonpb.Status{Code: code, ErrorCode: legacyCode(code), Reason: err.Error(), Detail: err.Error()}
}

func legacyCode(code int32) commonpb.ErrorCode {
	switch code {
	case codeCollectionNotFound:
		return commonpb.ErrorCode_CollectionNotExists
	case codeInvalidParameter:
		return commonpb.ErrorCode_IllegalArgument
	case codeIndexNotFound:
		return commonpb.ErrorCode_IndexNotExist
	default:
		return commonpb.ErrorCode_UnexpectedError
	}
}
