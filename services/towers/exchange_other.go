//go:build !linux

package towers

import "errors"

func exchange(string, string) error { return errors.ErrUnsupported }
