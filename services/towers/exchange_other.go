//go:build !linux

package towers

import "errors"

func exchange(string, string) error { return errors.ErrUnsupported }

func isMountPoint(string) bool { return false }

func lockFolder(string) (unlock func()) { return func() {} }
