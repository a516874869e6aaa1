package onnxruntime

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
)

// Variable names the library's file.
const Variable = "FRESHET_ONNXRUNTIME"

// The element types that sessions take; a port may have others, named alike.
const (
	Float32 = "float32"
	Int64   = "int64"
)

// Port is an input or an output of a model.
type Port struct {
	Name string
	// Type is its elements' type, such as Float32; what is no tensor has none.
	Type string
	// Shape has an axis of -1 where each run chooses the length.
	Shape []int64
}

func (p Port) String() string {
	axes := make([]string, len(p.Shape))
	for i, size := range p.Shape {
		axes[i] = "*"
		if size >= 0 {
			axes[i] = fmt.Sprint(size)
		}
	}
	kind := p.Type
	if kind == "" {
		kind = "no tensor"
	}
	return fmt.Sprintf("%s %s [%s]", p.Name, kind, strings.Join(axes, ", "))
}

// Tensor is values for a run, row-major: Floats or Ints, the other being nil. A run reads inputs and fills outputs.
type Tensor struct {
	Shape  []int64
	Floats []float32
	Ints   []int64
}

// candidates are what is tried, in turn.
func candidates() []string {
	if named := os.Getenv(Variable); named != "" {
		return []string{named}
	}
	switch runtime.GOOS {
	case "windows":
		return []string{"onnxruntime.dll"}
	case "darwin":
		return []string{"libonnxruntime.dylib", "libonnxruntime.1.dylib"}
	default:
		return []string{"libonnxruntime.so.1", "libonnxruntime.so"}
	}
}

// notFound says what was tried and what to do.
func notFound(tried []string) error {
	return fmt.Errorf("loading ONNX Runtime, which towers trained elsewhere need: %s; install version 1.24 or newer and set %s to its "+
		"library's file", strings.Join(tried, "; "), Variable)
}

// tooNew is what the library says of models that are newer than it is.
var tooNew = regexp.MustCompile(`(?i)\b(opset|IR version)\b`)

// remedy is what to do about a model that the library does not take, where that shows.
func remedy(err error) string {
	if !tooNew.MatchString(err.Error()) {
		return ""
	}
	return "; export the model for an older opset (PyTorch: opset_version=20), or set " + Variable + " to the file of a newer library"
}
