package profiles

import (
	"encoding/binary"
	"math"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// taste is what one model makes of a user. The embedding lies in Redis as little-endian float32; the state is packed:
// format 2, then, little-endian, 8 bytes stamp (how many events of the history, fallen out ones too, the profile had), 8 bytes
// time in ms of the event that moved it last, then the float32. Format 1 had no time, and counted the choices alone; such a
// state is not read, and the history encoded instead.
//
// The stamp closes the gap between models: model A was live, then B alone, then A again. A's state misses the events that
// only B's writers saw. Its stamp tells, and it is encoded anew from the history instead of being moved on.
type taste struct {
	state, embedding []float32
	// moved is when the event that moved it last occurred, in ms, or towers.Never.
	moved int64
}

// step is what an event of the history asks of a tower, before its item's vector is known.
type step struct {
	item string
	kind schemas.InteractionType
	at   int64 // ms
}

func (e *Entry) step() step { return step{e.ItemID, e.Kind, e.OccurredAt.UnixMilli()} }

// events makes the tower's events of steps, oldest first, and leaves out items without a vector: they do not move the tower,
// and no time counts from them.
func (t *taste) events(steps []step, vectors map[string][]float32) []towers.Event {
	events := make([]towers.Event, 0, len(steps))
	for _, s := range steps {
		if vector := vectors[s.item]; vector != nil {
			events = append(events, towers.Event{Item: vector, Kind: s.kind, Gap: towers.GapBetween(t.moved, s.at)})
			t.moved = s.at
		}
	}
	return events
}

const (
	stateFormat = 2
	stateHeader = 1 + 8 + 8
)

func stateField(model string) string     { return "s:" + model }
func embeddingField(model string) string { return "e:" + model }

func packFloats(dst []byte, floats []float32) []byte {
	for _, x := range floats {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(x))
	}
	return dst
}

func (t *taste) packState(stamp uint64) []byte {
	packed := append(make([]byte, 0, stateHeader+4*len(t.state)), stateFormat)
	packed = binary.LittleEndian.AppendUint64(packed, stamp)
	packed = binary.LittleEndian.AppendUint64(packed, uint64(t.moved))
	return packFloats(packed, t.state)
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
	moved := int64(u.uint64())
	t := &taste{state: unpackFloats(u.rest), embedding: unpackFloats(embedding), moved: moved}
	if stateSize != 0 && len(t.state) != stateSize || dim != 0 && len(t.embedding) != dim {
		return nil
	}
	return t
}
