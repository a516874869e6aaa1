package redisdb

import (
	"errors"
	"fmt"
)

// CorruptError is a stored value that no release of Freshet can have written: retrying cannot help.
type CorruptError struct {
	Key    string
	Remedy string
	Err    error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("value of Redis key %q is corrupt: %v; %s", e.Key, e.Err, e.Remedy)
}

func (e *CorruptError) Unwrap() error { return e.Err }

// IsCorrupt tells whether the reason is a stored value that cannot be read, now or later, as against a server out of reach
// or a value that a newer release has written.
func IsCorrupt(err error) bool {
	var c *CorruptError
	return errors.As(err, &c)
}

// NewerFormatError is a stored value in a format that this release does not know. It is no corruption: the release that
// wrote it reads it, so work on it must wait and not be given up.
type NewerFormatError struct {
	What  string
	Found byte
	Known byte
}

func (e *NewerFormatError) Error() string {
	return fmt.Sprintf("%s has format %d and this release knows up to %d: run the release that wrote it, or a newer one",
		e.What, e.Found, e.Known)
}

// newestFormat is the largest format byte that will ever be given out: a larger one is garbage, not the future.
const newestFormat = 15

// CheckFormat looks at the format byte that begins each packed value.
func CheckFormat(what string, found, known byte) error {
	switch {
	case found == known:
		return nil
	case found > known && found <= newestFormat:
		return &NewerFormatError{What: what, Found: found, Known: known}
	default:
		return fmt.Errorf("%s has the unknown format %d", what, found)
	}
}

// ReadError explains why the value of a key could not be read: corrupt, with the remedy, unless a newer release wrote it.
func ReadError(key, remedy string, err error) error {
	if _, newer := errors.AsType[*NewerFormatError](err); newer {
		return fmt.Errorf("reading Redis key %q: %w", key, err)
	}
	return &CorruptError{Key: key, Remedy: remedy, Err: err}
}
