//go:build cgo

package onnxruntime

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	ort "github.com/yalue/onnxruntime_go"
)

// Built tells whether this build can load the library.
const Built = true

// loading guards the library, which a process loads once.
var loading sync.Mutex

// openSessions is for the test that they are closed.
var openSessions atomic.Int64

// load loads the library unless it is there already.
func load() error {
	loading.Lock()
	defer loading.Unlock()
	if ort.IsInitialized() {
		return nil
	}
	var tried []string
	for _, file := range candidates() {
		ort.SetSharedLibraryPath(file)
		// What goes wrong comes back as an error; the library need not print it as well.
		err := ort.InitializeEnvironment(ort.WithLogLevelFatal())
		if err == nil {
			return nil
		}
		tried = append(tried, fmt.Sprintf("%s: %v", file, err))
	}
	return notFound(tried)
}

// Available says why no model can be run here, if none can.
func Available() error { return load() }

// Inspect lists the inputs and outputs of a model.
func Inspect(model []byte) (inputs, outputs []Port, err error) {
	if err := load(); err != nil {
		return nil, nil, err
	}
	in, out, err := ort.GetInputOutputInfoWithONNXData(model)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the ONNX model: %w%s", err, remedy(err))
	}
	return ports(in), ports(out), nil
}

func ports(infos []ort.InputOutputInfo) []Port {
	list := make([]Port, len(infos))
	for i, info := range infos {
		list[i] = Port{Name: info.Name}
		if info.OrtValueType == ort.ONNXTypeTensor {
			list[i].Type, list[i].Shape = typeName(info.DataType), info.Dimensions
		}
	}
	return list
}

func typeName(t ort.TensorElementDataType) string {
	if t == ort.TensorElementDataTypeFloat {
		return Float32
	}
	return strings.ToLower(strings.TrimPrefix(t.String(), "ONNX_TENSOR_ELEMENT_DATA_TYPE_"))
}

// Session is a model that is ready to run.
type Session struct {
	session *ort.DynamicAdvancedSession
}

// Open makes a model ready. Run takes the tensors of inputs and outputs in the order in which these name them.
func Open(model []byte, inputs, outputs []string) (*Session, error) {
	if err := load(); err != nil {
		return nil, err
	}
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("opening the ONNX model: %w", err)
	}
	defer func() { _ = options.Destroy() }()
	if err := errors.Join(options.SetIntraOpNumThreads(1), options.SetInterOpNumThreads(1)); err != nil {
		return nil, fmt.Errorf("opening the ONNX model: %w", err)
	}
	inner, err := ort.NewDynamicAdvancedSessionWithONNXData(model, inputs, outputs, options)
	if err != nil {
		return nil, fmt.Errorf("opening the ONNX model: %w", err)
	}
	s := &Session{session: inner}
	openSessions.Add(1)
	runtime.AddCleanup(s, func(inner *ort.DynamicAdvancedSession) {
		_ = inner.Destroy()
		openSessions.Add(-1)
	}, inner)
	return s, nil
}

// Run computes outputs from inputs. Every tensor's shape is the caller's; one that the model does not give or take is an error.
func (s *Session) Run(inputs, outputs []Tensor) error {
	// The library keeps the slices' addresses from when a value is made until it is released.
	var pinned runtime.Pinner
	defer pinned.Unpin()
	values := make([]ort.Value, 0, len(inputs)+len(outputs))
	defer func() {
		for _, v := range values {
			_ = v.Destroy()
		}
	}()
	for _, list := range [][]Tensor{inputs, outputs} {
		for i := range list {
			v, err := list[i].value(&pinned)
			if err != nil {
				return fmt.Errorf("running the ONNX model: %w", err)
			}
			values = append(values, v)
		}
	}
	err := s.session.Run(values[:len(inputs)], values[len(inputs):])
	runtime.KeepAlive(s)
	if err != nil {
		return fmt.Errorf("running the ONNX model: %w", err)
	}
	return nil
}

func (t *Tensor) value(pinned *runtime.Pinner) (ort.Value, error) {
	if t.Ints != nil {
		return valueOf(t.Shape, t.Ints, pinned)
	}
	return valueOf(t.Shape, t.Floats, pinned)
}

func valueOf[T float32 | int64](shape []int64, data []T, pinned *runtime.Pinner) (ort.Value, error) {
	if len(data) > 0 {
		pinned.Pin(&data[0])
	}
	// A nil *Tensor must not become a Value that is not nil.
	v, err := ort.NewTensor(ort.Shape(shape), data)
	if err != nil {
		return nil, err
	}
	return v, nil
}
