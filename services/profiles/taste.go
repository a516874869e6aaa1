package profiles

import (
	"encoding/binary"
	"math"
)

// taste is what one model makes of a user. The embedding lies in Redis as little-endian float32; the state is packed:
// format 1, then 8 bytes stamp, little-endian (how many events of taste the profile had), then little-endian float32.
//
// The stamp closes the gap between models: model A was live, then B alone, then A again. A's state misses the events that
// only B's writers saw. Its stamp tells, and it is encoded anew from the history instead of being moved on.
type taste struct {
	state, embedding []float32
}

const (
	stateFormat = 1
	stateHeader = 1 + 8
)

func stateField(model string) string     { return "s:" + model }
func embeddingField(model string) string { return "e:" + model }

func packFloats(dst []byte, floats []float32) []byte {
	for _, x := range floats {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(x))
	}
	return dst
}

func packState(stamp uint64, state []float32) []byte {
	packed := append(make([]byte, 0, stateHeader+4*len(state)), stateFormat)
	return packFloats(binary.LittleEndian.AppendUint64(packed, stamp), state)
}

func unpackFloats(value string) []float32 {
	floats := make([]float32, len(value)/4)
	for i := range floats {
		b := value[4*i : 4*i+4]
		floats[i] = math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
	}
	return floats
}

// unpackTaste returns nothing where there is no taste with this stamp, or none that can be read: it can always be encoded
// from the history. Sizes are in floats; 0 means any.
func unpackTaste(state, embedding string, stamp uint64, stateSize, dim int) *taste {
	if len(state) < stateHeader || state[0] != stateFormat || (len(state)-stateHeader)%4 != 0 ||
		len(embedding) == 0 || len(embedding)%4 != 0 {
		return nil
	}
	u := unpacker{rest: state[1:]}
	if u.uint64() != stamp {
		return nil
	}
	t := &taste{state: unpackFloats(u.rest), embedding: unpackFloats(embedding)}
	if stateSize != 0 && len(t.state) != stateSize || dim != 0 && len(t.embedding) != dim {
		return nil
	}
	return t
}
