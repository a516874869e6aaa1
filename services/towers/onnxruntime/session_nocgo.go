//go:build !cgo

package onnxruntime

import "errors"

// Built tells whether this build can load the library.
const Built = false

var errNoCgo = errors.New("this build was made without cgo and cannot load ONNX Runtime, which towers trained elsewhere need: " +
	"build it with CGO_ENABLED=1 and a C compiler")

// Available says why no model can be run here.
func Available() error { return errNoCgo }

// Inspect refuses.
func Inspect([]byte) (inputs, outputs []Port, err error) { return nil, nil, errNoCgo }

// Session cannot be had in this build.
type Session struct{}

// Open refuses.
func Open([]byte, []string, []string) (*Session, error) { return nil, errNoCgo }

// Run refuses.
func (*Session) Run([]Tensor, []Tensor) error { return errNoCgo }
