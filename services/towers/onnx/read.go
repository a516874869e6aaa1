package onnx

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of an encoded message.
type field struct {
	number protowire.Number
	// whole is the field as it is encoded, value what is in it: for text, bytes and messages the content, for a number 0.
	whole, value []byte
	varint       uint64
}

// eachField visits a message's fields in turn.
func eachField(message []byte, visit func(f field) error) error {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return errNoModel(n)
		}
		size := protowire.ConsumeFieldValue(number, kind, message[n:])
		if size < 0 {
			return errNoModel(size)
		}
		f := field{number: number, whole: message[:n+size]}
		switch kind {
		case protowire.BytesType:
			f.value, _ = protowire.ConsumeBytes(message[n:])
		case protowire.VarintType:
			f.varint, _ = protowire.ConsumeVarint(message[n:])
		}
		if err := visit(f); err != nil {
			return err
		}
		message = message[n+size:]
	}
	return nil
}

func errNoModel(code int) error {
	return fmt.Errorf("it is no ONNX model, or a damaged one (%w): export it again", protowire.ParseError(code))
}

// Metadata is what a model says about itself beside its graph.
func Metadata(model []byte) (map[string]string, error) {
	all := map[string]string{}
	return all, eachField(model, func(f field) error { // ModelProto
		if f.number != 14 {
			return nil
		}
		key, value, err := entry(f.value)
		all[key] = value
		return err
	})
}

// entry takes a StringStringEntryProto apart.
func entry(message []byte) (key, value string, err error) {
	err = eachField(message, func(f field) error {
		switch f.number {
		case 1:
			key = string(f.value)
		case 2:
			value = string(f.value)
		}
		return nil
	})
	return key, value, err
}
