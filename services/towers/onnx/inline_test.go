package onnx

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// moveOut moves the values of every tensor of a model to the end of data, as exporters do, and counts the tensors.
func moveOut(t *testing.T, k kind, content []byte, data *[]byte) (moved []byte, tensors int) {
	t.Helper()
	var out message
	require.NoError(t, eachField(content, func(f field) error {
		inner, holds := inside[k][f.number]
		switch {
		case k == tensorMessage && f.number == tensorRaw:
			tensors++
			for _, e := range [][2]string{
				{"location", "./m.data"}, {"offset", strconv.Itoa(len(*data))}, {"length", strconv.Itoa(len(f.value))},
			} {
				var entry message
				entry.text(1, e[0])
				entry.text(2, e[1])
				out.message(tensorExternal, entry)
			}
			out.uint(tensorLocation, external)
			*data = append(*data, f.value...)
		case holds:
			part, n := moveOut(t, inner, f.value, data)
			tensors += n
			out.bytes(f.number, part)
		default:
			out.append(f.whole)
		}
		return nil
	}))
	for _, part := range out.parts {
		moved = append(moved, part...)
	}
	return moved, tensors
}

func TestExternalDataComesInside(t *testing.T) {
	model, err := testModel().Marshal()
	require.NoError(t, err)
	var data []byte
	moved, tensors := moveOut(t, modelMessage, model, &data)
	require.Equal(t, 3, tensors, "an initializer, one of a loop's body, and an attribute of a node")
	require.NotEqual(t, model, moved)

	got, err := Inline(moved, fstest.MapFS{"m.data": {Data: data}})
	require.NoError(t, err)
	require.Equal(t, model, got)
	got, err = Inline(model, fstest.MapFS{})
	require.NoError(t, err)
	require.Equal(t, model, got, "what is inside stays as it is")
}

// externalModel is one with a single tensor of these entries.
func externalModel(entries ...[2]string) []byte {
	var tensor, graph, model message
	tensor.text(tensorName, "w")
	for _, e := range entries {
		var entry message
		entry.text(1, e[0])
		entry.text(2, e[1])
		tensor.message(tensorExternal, entry)
	}
	tensor.uint(tensorLocation, external)
	graph.message(5, tensor)
	model.message(7, graph)
	var content []byte
	for _, part := range model.parts {
		content = append(content, part...)
	}
	return content
}

func TestExternalDataIsRefused(t *testing.T) {
	folder := fstest.MapFS{"m.data": {Data: make([]byte, 8)}, "sub": {Mode: fs.ModeDir}}
	at := [2]string{"location", "m.data"}
	for name, c := range map[string]struct {
		entries [][2]string
		want    string
	}{
		"no file":              {[][2]string{{"location", "n.data"}}, "there is no n.data beside the model: copy it there"},
		"no location":          {nil, `location is ".": only a file in the model's own folder is read`},
		"a file above":         {[][2]string{{"location", "../m.data"}}, `location is "../m.data": only a file in the model's own folder`},
		"a file anywhere":      {[][2]string{{"location", "/etc/passwd"}}, `location is "/etc/passwd": only`},
		"a way round":          {[][2]string{{"location", "sub/../../m.data"}}, `location is "../m.data": only`},
		"beyond its end":       {[][2]string{at, {"offset", "4"}, {"length", "5"}}, "m.data has 8 bytes, and the tensor's are 5 from 4 on"},
		"from beyond its end":  {[][2]string{at, {"offset", "9"}}, "m.data has 8 bytes"},
		"far beyond its end":   {[][2]string{at, {"offset", "9223372036854775807"}, {"length", "9223372036854775807"}}, "m.data has 8 bytes"},
		"no length":            {[][2]string{at, {"length", "-1"}}, `length is "-1": it must be a number of bytes`},
		"no offset":            {[][2]string{at, {"offset", "0x4"}}, `offset is "0x4": it must be a number of bytes`},
		"what is not a file":   {[][2]string{{"location", "sub"}, {"length", "0"}}, "sub is no file"},
		"a damaged entry":      {[][2]string{{"location\xff", ""}}, `location is "."`},
		"an offset and no end": {[][2]string{at, {"offset", "4"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Inline(externalModel(c.entries...), folder)
			if c.want == "" {
				require.NoError(t, err)
				require.Equal(t, make([]byte, 4), fields(t, fields(t, fields(t, got)[7][0])[5][0])[tensorRaw][0])
				return
			}
			require.ErrorContains(t, err, `reading the external data of tensor "w": `)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestExternalDataOutsideIsNotReached by a link either.
func TestExternalDataOutsideIsNotReached(t *testing.T) {
	outside, dir := filepath.Join(t.TempDir(), "secret"), t.TempDir()
	require.NoError(t, os.WriteFile(outside, make([]byte, 8), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "m.data")))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	_, err = Inline(externalModel([2]string{"location", "m.data"}), root.FS())
	require.ErrorContains(t, err, "opening m.data, which must lie in the model's own folder")
}

func TestMetadata(t *testing.T) {
	model, err := testModel().Marshal()
	require.NoError(t, err)
	got, err := Metadata(model)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "1", "b": "2"}, got)
	_, err = Metadata([]byte("text"))
	require.ErrorContains(t, err, "it is no ONNX model, or a damaged one")
}

func TestMessagesTooDeep(t *testing.T) {
	content := []byte{}
	for i := range 3 * deepest {
		number := protowire.Number([]int{6, 5, 1}[i%3]) // a graph in an attribute of a node of a graph
		content = protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
	}
	_, err := Inline(protowire.AppendBytes(protowire.AppendTag(nil, 7, protowire.BytesType), content), fstest.MapFS{})
	require.ErrorContains(t, err, "more than 100 deep")
}

// FuzzInline holds that nothing is read that is not there, and that what came inside stays.
func FuzzInline(f *testing.F) {
	model, err := testModel().Marshal()
	require.NoError(f, err)
	f.Add(model)
	f.Add(externalModel([2]string{"location", "m.data"}, [2]string{"offset", "4"}, [2]string{"length", "4"}))
	f.Fuzz(func(t *testing.T, content []byte) {
		folder := fstest.MapFS{"m.data": {Data: make([]byte, 8)}}
		got, err := Inline(content, folder)
		if err != nil {
			return
		}
		again, err := Inline(got, fstest.MapFS{})
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}
