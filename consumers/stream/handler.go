package stream

import "github.com/freshet/freshet/consumers/stream/partition"

// The words of handlers. They are partition's, since a replay calls handlers too; who writes a handler needs this package alone.
type (
	// Record is one record of a topic.
	Record = partition.Record
	// Handler works off one partition's records, one batch after the other.
	Handler = partition.Handler
	// HandlerFunc is a function that is a Handler.
	HandlerFunc = partition.HandlerFunc
	// Failure is the error of one record of a batch.
	Failure = partition.Failure
	// Failures tells which records of a batch failed; all others are done.
	Failures = partition.Failures
	// Reason is the class of why a record became a dead letter.
	Reason = partition.Reason
)

// The reasons that handlers give; partition tells what each means.
const (
	ReasonMalformed   = partition.ReasonMalformed
	ReasonInvalid     = partition.ReasonInvalid
	ReasonUnaddressed = partition.ReasonUnaddressed
	ReasonRefused     = partition.ReasonRefused
	ReasonCorrupt     = partition.ReasonCorrupt
)

// Permanent marks an error that trying again cannot cure: bytes that no schema reads, a value that no rule allows. Of one
// record it sends the record to the dead-letter topic; of a whole batch it ends Run. Permanent(nil) is nil.
func Permanent(err error) error { return PermanentFor(partition.ReasonOther, err) }

// PermanentFor is Permanent with the reason that dead letters are counted by.
func PermanentFor(reason Reason, err error) error { return partition.PermanentFor(reason, err) }

// IsPermanent reports whether err, or an error that it wraps, was marked by Permanent. Any other error is transient.
func IsPermanent(err error) bool { return partition.IsPermanent(err) }

// ReasonOf returns the reason that err was marked with.
func ReasonOf(err error) Reason { return partition.ReasonOf(err) }
