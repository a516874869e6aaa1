package towers

import (
	"errors"
	"fmt"
)

// reason tells the kinds of refusal apart.
type reason uint8

const (
	missing reason = iota + 1
	truncated
	corrupted
	mismatched
	unsupported
	absent
	occupied
)

// Refusal is why a bundle was not loaded or written, or a setting not taken: what is wrong where, and what to do about it.
type Refusal struct {
	// Path is the file or folder, or the setting's name.
	Path   string
	Detail string
	Remedy string
	reason reason
	cause  error
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s; %s", r.Path, r.Detail, r.Remedy) }

// Unwrap is the file system's error, where there is one.
func (r *Refusal) Unwrap() error { return r.cause }

// IsMissing reports a bundle or one of its files that is not there.
func IsMissing(err error) bool { return refusedAs(err, missing) }

// IsTruncated reports a file that ends too early.
func IsTruncated(err error) bool { return refusedAs(err, truncated) }

// IsCorrupted reports a file whose content is not what the manifest promises: damaged, or swapped with another bundle's.
func IsCorrupted(err error) bool { return refusedAs(err, corrupted) }

// IsMismatched reports weights of other dimensions than the manifest names.
func IsMismatched(err error) bool { return refusedAs(err, mismatched) }

// IsUnsupported reports a bundle in a format, or of a format version, that this build does not read.
func IsUnsupported(err error) bool { return refusedAs(err, unsupported) }

// IsAbsent reports a bundle, whole as it is, that was made without the tower that was asked for.
func IsAbsent(err error) bool { return refusedAs(err, absent) }

// IsOccupied reports a folder in which a bundle is not written, since something else is there.
func IsOccupied(err error) bool { return refusedAs(err, occupied) }

// IsRefused reports any of the above.
func IsRefused(err error) bool {
	var r *Refusal
	return errors.As(err, &r) && r.reason != 0
}

func refusedAs(err error, why reason) bool {
	var r *Refusal
	return errors.As(err, &r) && r.reason == why
}

const (
	remedyTrainAgain = "write the bundle again (freshet train) or copy it anew"
	remedySameBuild  = "load it with the release that wrote it, or train a new bundle with this one"
)

func refuse(why reason, path, remedy, format string, args ...any) *Refusal {
	return &Refusal{Path: path, Detail: fmt.Sprintf(format, args...), Remedy: remedy, reason: why}
}

// invalidSetting names field, value and remedy of a setting that cannot work.
func invalidSetting(field string, value any, remedy string) error {
	return fmt.Errorf("%s is %v: %s", field, value, remedy)
}
