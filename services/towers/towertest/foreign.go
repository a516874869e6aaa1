package towertest

import (
	"os"
	"testing"

	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/onnx"
	"github.com/freshet/freshet/services/towers/onnxruntime"
)

// NeedsONNXRuntime skips a test where no library is named or the build has no cgo to load it with, and fails it where the one that
// is named cannot be loaded.
func NeedsONNXRuntime(tb testing.TB) {
	tb.Helper()
	if os.Getenv(onnxruntime.Variable) == "" || !onnxruntime.Built {
		tb.Skip("build with cgo, and set " + onnxruntime.Variable + " to the library's file")
	}
	if err := onnxruntime.Available(); err != nil {
		tb.Fatal(err)
	}
}

// EncoderModel is an ONNX encoder of whole histories whose embedding can be worked out by hand: the mean of the items. longest fixes
// how many events it takes; 0 leaves that free.
func EncoderModel(tb testing.TB, dim, longest int) []byte {
	tb.Helper()
	b := onnx.NewBuilder("mean")
	rows, events := onnx.Free("N"), onnx.Free("L")
	if longest > 0 {
		events = onnx.Fixed(longest)
	}
	items := b.Input(onnx.Port{Name: "items", Type: onnx.Float, Shape: []onnx.Axis{rows, events, onnx.Fixed(dim)}})
	lengths := b.Input(onnx.Port{Name: "lengths", Type: onnx.Int64, Shape: []onnx.Axis{rows}})
	last := b.Ints("last", -1)
	length := b.Op("Unsqueeze", []string{lengths, last})
	count := b.Op("Gather", []string{b.Op("Shape", []string{items}), b.Integer("events", 1)})
	places := b.Op("Range", []string{b.Integer("from", 0), count, b.Integer("by", 1)})
	mask := b.Op("Cast", []string{b.Op("Less", []string{places, length})}, onnx.Int("to", int64(onnx.Float)))
	sum := b.Op("ReduceSum", []string{b.Op("Mul", []string{items, b.Op("Unsqueeze", []string{mask, last})}), b.Ints("along", 1)},
		onnx.Int("keepdims", 0))
	mean := b.Op("Div", []string{sum, b.Op("Cast", []string{length}, onnx.Int("to", int64(onnx.Float)))})
	b.Output(onnx.Port{Name: "embedding", Type: onnx.Float, Shape: []onnx.Axis{rows, onnx.Fixed(dim)}}, mean)
	return Marshal(tb, b)
}

// Encoder is a user tower of such a model, with a version.
func Encoder(tb testing.TB, version string, dim int) *towers.UserTower {
	tb.Helper()
	NeedsONNXRuntime(tb)
	dir := tb.TempDir() + "/bundle"
	_, err := towers.Place{Dir: dir}.WriteForeign(&towers.Foreign{Version: version, Created: Created, UserModel: EncoderModel(tb, dim, 0)})
	if err != nil {
		tb.Fatal(err)
	}
	tower, err := towers.LoadUserTower(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return tower
}

// Marshal is the content of a model of this graph.
func Marshal(tb testing.TB, b *onnx.Builder) []byte {
	tb.Helper()
	content, err := (&onnx.Model{Graph: &b.Graph, Producer: "elsewhere"}).Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return content
}
