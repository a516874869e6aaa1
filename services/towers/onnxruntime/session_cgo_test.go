//go:build cgo

package onnxruntime

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers/onnx"
)

func needsLibrary(t *testing.T) {
	t.Helper()
	if os.Getenv(Variable) == "" {
		t.Skip("set " + Variable + " to the library's file")
	}
	require.NoError(t, load())
}

// doubled is y = x + x, three values a row.
func doubled(t *testing.T) []byte {
	t.Helper()
	b := onnx.NewBuilder("doubled")
	shape := []onnx.Axis{onnx.Free("N"), onnx.Fixed(3)}
	x := b.Input(onnx.Port{Name: "x", Type: onnx.Float, Shape: shape})
	b.Output(onnx.Port{Name: "y", Type: onnx.Float, Shape: shape}, b.Op("Add", []string{x, x}))
	content, err := (&onnx.Model{Graph: &b.Graph}).Marshal()
	require.NoError(t, err)
	return content
}

func TestInspect(t *testing.T) {
	needsLibrary(t)
	in, out, err := Inspect(doubled(t))
	require.NoError(t, err)
	require.Equal(t, []Port{{"x", Float32, []int64{-1, 3}}}, in)
	require.Equal(t, []Port{{"y", Float32, []int64{-1, 3}}}, out)
	require.Equal(t, "y float32 [*, 3]", out[0].String())

	_, _, err = Inspect([]byte("no model"))
	require.ErrorContains(t, err, "reading the ONNX model")
	require.NotContains(t, err.Error(), "opset")
	const irVersion = 1 << 3 // field 1 of a ModelProto, of which the last one counts
	_, _, err = Inspect(append(doubled(t), irVersion, 99))
	require.ErrorContains(t, err, "export the model for an older opset (PyTorch: opset_version=20), or set FRESHET_ONNXRUNTIME")
}

func TestRunsFromManyGoroutines(t *testing.T) {
	needsLibrary(t)
	s, err := Open(doubled(t), []string{"x"}, []string{"y"})
	require.NoError(t, err)
	var running sync.WaitGroup
	for g := range 8 {
		running.Go(func() {
			for range 50 {
				x, y := []float32{float32(g), 1, 2, 3, 4, 5}, make([]float32, 6)
				if err := s.Run([]Tensor{{Shape: []int64{2, 3}, Floats: x}}, []Tensor{{Shape: []int64{2, 3}, Floats: y}}); err != nil {
					t.Error(err)
				}
				if y[0] != 2*x[0] || y[5] != 10 {
					t.Errorf("%v doubled is %v", x, y)
				}
			}
		})
	}
	running.Wait()
}

func TestRunRefusesOtherShapes(t *testing.T) {
	needsLibrary(t)
	s, err := Open(doubled(t), []string{"x"}, []string{"y"})
	require.NoError(t, err)
	four, three := Tensor{Shape: []int64{1, 4}, Floats: make([]float32, 4)}, Tensor{Shape: []int64{1, 3}, Floats: make([]float32, 3)}
	require.ErrorContains(t, s.Run([]Tensor{four}, []Tensor{three}), "x")
	require.Error(t, s.Run([]Tensor{three}, []Tensor{four}))
	require.Error(t, s.Run([]Tensor{{Shape: []int64{1, 3}, Ints: make([]int64, 3)}}, []Tensor{three}))
	require.Error(t, s.Run([]Tensor{{Shape: []int64{9, 3}, Floats: make([]float32, 3)}}, []Tensor{three}), "fewer values than the shape has")
}

func TestSessionsAreClosedWhenNobodyHasThem(t *testing.T) {
	needsLibrary(t)
	model := doubled(t)
	before := openSessions.Load()
	for range 20 {
		_, err := Open(model, []string{"x"}, []string{"y"})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { runtime.GC(); return openSessions.Load() <= before }, 10*time.Second, time.Millisecond)
}

// TestMissingLibrary runs in a process of its own: one that has loaded the library keeps it.
func TestMissingLibrary(t *testing.T) {
	if os.Getenv("FRESHET_TEST_MISSING") != "" {
		err := Available()
		require.ErrorContains(t, err, os.Getenv(Variable)+": ")
		require.ErrorContains(t, err, "install version 1.24 or newer and set FRESHET_ONNXRUNTIME")
		return
	}
	noLibrary := t.TempDir() + "/libonnxruntime.so"
	require.NoError(t, os.WriteFile(noLibrary, []byte("text"), 0o600))
	for _, file := range []string{noLibrary, noLibrary + ".9"} {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMissingLibrary$")
		again.Env = append(os.Environ(), "FRESHET_TEST_MISSING=1", Variable+"="+file)
		out, err := again.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}
