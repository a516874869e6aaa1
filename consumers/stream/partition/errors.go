package partition

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
)

// PermanentError marks an error that trying again cannot cure.
type PermanentError struct {
	Err    error
	Reason Reason
}

func (e *PermanentError) Error() string { return e.Err.Error() }
func (e *PermanentError) Unwrap() error { return e.Err }

// PermanentFor marks an error that trying again cannot cure with the reason that dead letters are counted by. PermanentFor of a nil
// error is nil.
func PermanentFor(reason Reason, err error) error {
	if err == nil {
		return nil
	}
	return &PermanentError{err, reason}
}

// IsPermanent reports whether err, or an error that it wraps, was marked by PermanentFor. Any other error is transient.
func IsPermanent(err error) bool {
	_, ok := errors.AsType[*PermanentError](err)
	return ok
}

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
	// ReasonOther is of an error that was marked without naming a reason.
	ReasonOther Reason = "other"
)

// ReasonOf returns the reason that err was marked with.
func ReasonOf(err error) Reason {
	if p, ok := errors.AsType[*PermanentError](err); ok {
		return p.Reason
	}
	return ReasonOther
}

// Failure is the error of one record of a batch.
type Failure struct {
	// Index is the record's place in the batch that the handler was given.
	Index int
	Err   error
}

// Failures tells which records of a batch failed; all others are done. Its order does not matter, and a Failure whose Err
// is nil counts as success. It does not unwrap: a permanent error of one record is not one of the batch.
type Failures []Failure

// Error shows the first few failures and how many there are.
func (f Failures) Error() string {
	const shown = 3
	var b strings.Builder
	fmt.Fprintf(&b, "%d records of the batch failed", len(f))
	for i, failure := range f {
		if i == shown {
			b.WriteString("; …")
			break
		}
		fmt.Fprintf(&b, "; record %d: %v", failure.Index, failure.Err)
	}
	return b.String()
}

// of returns the failures in the order of the batch's records, of each record the first that was named, or an error where one names
// a record that the batch does not have.
func (f Failures) of(batch []Record) (Failures, error) {
	byIndex := slices.SortedStableFunc(slices.Values(f), func(a, b Failure) int { return a.Index - b.Index })
	for _, failure := range byIndex {
		if failure.Index < 0 || failure.Index >= len(batch) {
			return nil, fmt.Errorf("the handler named record %d of a batch of %d: its code must be mended", failure.Index, len(batch))
		}
	}
	return slices.CompactFunc(byIndex, func(a, b Failure) bool { return a.Index == b.Index }), nil
}

// PanicError is what a handler's panic becomes.
type PanicError struct{ value any }

func (e *PanicError) Error() string { return fmt.Sprintf("the handler panicked: %v", e.value) }

// Panicked logs a handler's panic over a batch, with its stack. Call it where the panic was recovered.
func Panicked(log *slog.Logger, value any, first *Record, records int) *PanicError {
	p := &PanicError{value}
	log.Error(p.Error(), slog.Int("partition", int(first.Partition)), slog.Int64("offset", first.Offset),
		slog.Int("records", records), slog.String("stack", string(debug.Stack())))
	return p
}
