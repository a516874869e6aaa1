package stream

import (
	"errors"
	"fmt"
	"strings"
)

// ErrAborted is what Run returns after Abort.
var ErrAborted = errors.New("the consumer was stopped at once: what it had not committed is handled again by the next owner")

// permanentError marks an error that trying again cannot cure.
type permanentError struct {
	err    error
	reason Reason
}

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks an error that trying again cannot cure: bytes that no schema reads, a value that no rule allows. Of one
// record it sends the record to the dead-letter topic; of a whole batch it ends Run. Permanent(nil) is nil.
func Permanent(err error) error { return PermanentFor(ReasonOther, err) }

// IsPermanent says whether err, or an error that it wraps, was marked by Permanent. Any other error is transient.
func IsPermanent(err error) bool {
	var p *permanentError
	return errors.As(err, &p)
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

// panicError is what a handler's panic becomes.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("the handler panicked: %v", e.value) }
