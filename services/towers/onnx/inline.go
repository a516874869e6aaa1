package onnx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// kind is a message that tensors may lie in.
type kind uint8

const (
	modelMessage kind = iota + 1
	graphMessage
	nodeMessage
	attributeMessage
	sparseMessage
	functionMessage
	tensorMessage
)

// inside says which fields of a message lead to tensors.
var inside = map[kind]map[protowire.Number]kind{
	modelMessage:     {7: graphMessage, 25: functionMessage},
	graphMessage:     {1: nodeMessage, 5: tensorMessage, 15: sparseMessage},
	nodeMessage:      {5: attributeMessage},
	attributeMessage: {5: tensorMessage, 6: graphMessage, 10: tensorMessage, 11: graphMessage, 22: sparseMessage, 23: sparseMessage},
	sparseMessage:    {1: tensorMessage, 2: tensorMessage},
	functionMessage:  {7: nodeMessage, 11: attributeMessage},
}

// deepest is how deep protobuf's own implementations let messages nest.
const deepest = 100

var errTooDeep = fmt.Errorf("it is no ONNX model: its messages lie more than %d deep in each other", deepest)

// Inline gives the model with the values that lie in files beside it put inside: what exporters call external data, and PyTorch's
// writes unless it is told not to. folder is where the model lies; a file that is not in it is not read. A model that has its values
// inside already is given back as it is.
func Inline(model []byte, folder fs.FS) ([]byte, error) {
	in := inliner{folder: folder, files: map[string]fs.File{}, left: mostBytes}
	defer in.close()
	out, changed, err := in.message(modelMessage, model, 0)
	if err != nil || !changed {
		return model, err
	}
	if out.size > mostBytes {
		return nil, errTooLarge(out.size)
	}
	return slices.Concat(out.parts...), nil
}

func errTooLarge(size int) error {
	return fmt.Errorf("with its external data the model has %d bytes, and no more than %d can be taken: export it smaller, or give the "+
		"items' vectors as a table (freshet import onnx --vectors)", size, mostBytes)
}

type inliner struct {
	folder fs.FS
	files  map[string]fs.File
	left   int64 // how many more bytes may be read
}

func (in *inliner) close() {
	for _, f := range in.files {
		_ = f.Close()
	}
}

// message copies a message of some kind, its tensors filled. changed tells whether there was one to fill.
func (in *inliner) message(k kind, content []byte, depth int) (out message, changed bool, err error) {
	if depth > deepest {
		return out, false, errTooDeep
	}
	if k == tensorMessage {
		return in.tensor(content)
	}
	err = eachField(content, func(f field) error {
		inner, holds := inside[k][f.number]
		if !holds || f.value == nil {
			out.append(f.whole)
			return nil
		}
		filled, here, err := in.message(inner, f.value, depth+1)
		switch {
		case err != nil:
			return err
		case here:
			out.message(f.number, filled)
			changed = true
		default:
			out.append(f.whole)
		}
		return nil
	})
	return out, changed, err
}

// The fields of a TensorProto that say where its values are.
const (
	tensorName     = 8
	tensorRaw      = 9
	tensorExternal = 13
	tensorLocation = 14
	external       = 1 // TensorProto.DataLocation
)

// tensor gives a tensor's values a place in it, where they are elsewhere.
func (in *inliner) tensor(content []byte) (out message, changed bool, err error) {
	name, entries := "", map[string]string{}
	err = eachField(content, func(f field) error {
		switch f.number {
		case tensorExternal:
			key, value, err := entry(f.value)
			entries[key] = value
			return err
		case tensorLocation:
			changed = f.varint == external
			return nil
		case tensorRaw: // none beside external data
		case tensorName:
			name = string(f.value)
			fallthrough
		default:
			out.append(f.whole)
		}
		return nil
	})
	if err != nil || !changed {
		return out, false, err
	}
	raw, err := in.read(entries)
	if err != nil {
		return out, false, fmt.Errorf("reading the external data of tensor %q: %w", name, err)
	}
	out.bytes(tensorRaw, raw)
	return out, true, nil
}

// read reads the part of a file that a tensor's entries name.
func (in *inliner) read(entries map[string]string) ([]byte, error) {
	location := path.Clean(entries["location"])
	file, err := in.open(location)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	offset, err := bytesNamed(entries, "offset", 0)
	if err != nil {
		return nil, err
	}
	length, err := bytesNamed(entries, "length", info.Size()-offset)
	switch {
	case err != nil:
		return nil, err
	case length < 0 || offset > info.Size()-length:
		return nil, fmt.Errorf("%s has %d bytes, and the tensor's are %d from %d on: copy the file that was exported with this model",
			location, info.Size(), length, offset)
	case length > in.left:
		return nil, errTooLarge(int(mostBytes - in.left + length))
	}
	in.left -= length
	reader, ok := file.(io.ReaderAt)
	if !ok {
		return nil, fmt.Errorf("%s is no file: name the one that was exported with this model", location)
	}
	raw := make([]byte, length)
	if n, err := reader.ReadAt(raw, offset); int64(n) < length {
		return nil, fmt.Errorf("reading %s: %w", location, err)
	}
	return raw, nil
}

func (in *inliner) open(location string) (fs.File, error) {
	if f := in.files[location]; f != nil {
		return f, nil
	}
	if !fs.ValidPath(location) || location == "." {
		return nil, fmt.Errorf("location is %q: only a file in the model's own folder is read: put it there and export anew", location)
	}
	f, err := in.folder.Open(location)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s beside the model: copy it there, or export the model with its values inside "+
			"(PyTorch: external_data=False): %w", location, err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s, which must lie in the model's own folder: %w", location, err)
	}
	in.files[location] = f
	return f, nil
}

// bytesNamed is one of a tensor's entries.
func bytesNamed(entries map[string]string, key string, otherwise int64) (int64, error) {
	text, given := entries[key]
	if !given {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is %q: it must be a number of bytes; export the model anew", key, text)
	}
	return n, nil
}
