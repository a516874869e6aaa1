package profiles

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// taste is what one model makes of a user. The embedding lies in Redis as little-endian float32; the state is packed:
// format 2, then, little-endian, 8 bytes stamp (how many events of the history, fallen out ones too, the profile had), and the state
// as towers.State packs it. Format 1 had no time, and counted the choices alone; such a state is not read, and the history encoded
// instead.
//
// The stamp closes the gap between models: model A was live, then B alone, then A again. A's state misses the events that
// only B's writers saw. Its stamp tells, and it is encoded anew from the history instead of being moved on.
type taste struct {
	state     towers.State
	embedding []float32
}

// step is what an event of the history asks of a tower, before its item's vector is known.
type step struct {
	item string
	kind schemas.InteractionType
	at   int64 // ms
}

func (e *Entry) step() step { return step{e.ItemID, e.Kind, e.OccurredAt.UnixMilli()} }

// stepsOf are the steps of a history's events that a tower reads, oldest first.
func stepsOf(h history, reads func(schemas.InteractionType) bool) (steps []step) {
	for _, entry := range slices.Backward(h) {
		if reads(entry.Kind) {
			steps = append(steps, entry.step())
		}
	}
	return steps
}

// actsOf makes a tower's acts of steps, and leaves out items without a vector: they do not move the tower, and no time counts from
// them.
func actsOf(steps []step, vector func(itemID string) []float32) []towers.Act {
	acts := make([]towers.Act, 0, len(steps))
	for _, s := range steps {
		if v := vector(s.item); v != nil {
			acts = append(acts, towers.Act{Item: v, Kind: s.kind, At: s.at})
		}
	}
	return acts
}

const (
	stateFormat = 2
	stateHeader = 1 + 8
)

func stateField(model string) string     { return "s:" + model }
func embeddingField(model string) string { return "e:" + model }

func packFloats(floats []float32) []byte {
	packed := make([]byte, 0, 4*len(floats))
	for _, x := range floats {
		packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(x))
	}
	return packed
}

func (t *taste) packState(stamp uint64) []byte {
	packed := append(make([]byte, 0, stateHeader+8+4*len(t.state.Values())), stateFormat)
	return t.state.Append(binary.LittleEndian.AppendUint64(packed, stamp))
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
// from the history. Without a tower it may be one of any.
func unpackTaste(state, embedding string, stamp uint64, tower *towers.UserTower) *taste {
	if len(state) < stateHeader || state[0] != stateFormat || len(embedding) == 0 || len(embedding)%4 != 0 {
		return nil
	}
	u := unpacker{rest: state[1:]}
	if u.uint64() != stamp {
		return nil
	}
	parsed, ok := towers.ParseState(u.rest)
	if !ok {
		return nil
	}
	t := &taste{state: parsed, embedding: unpackFloats(embedding)}
	if tower != nil && (!tower.Fits(&t.state) || len(t.embedding) != tower.Dim()) {
		return nil
	}
	return t
}
