package stream

import "errors"

// Reason is the class of why a record became a dead letter. The set is small, since metrics count by it; the dead letter has
// the error itself.
type Reason string

const (
	// ReasonMalformed is of bytes that no schema reads.
	ReasonMalformed Reason = "malformed"
	// ReasonInvalid is of a record that can be read and makes no sense.
	ReasonInvalid Reason = "invalid"
	// ReasonUnaddressed is of a request that does not say, or must not choose, where its reply goes.
	ReasonUnaddressed Reason = "unaddressed"
	// ReasonRefused is of what a server will never take.
	ReasonRefused Reason = "refused"
	// ReasonCorrupt is of a record whose stored state cannot be read any more.
	ReasonCorrupt Reason = "corrupt"
	// ReasonPanic is of a record that makes the handler panic.
	ReasonPanic Reason = "panic"
	// ReasonOther is of an error that was marked by Permanent, which names no reason.
	ReasonOther Reason = "other"
)

// PermanentFor is Permanent with the reason that dead letters are counted by.
func PermanentFor(reason Reason, err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err, reason}
}

// ReasonOf returns the reason that err was marked with.
func ReasonOf(err error) Reason {
	if p, ok := errors.AsType[*permanentError](err); ok {
		return p.reason
	}
	return ReasonOther
}
