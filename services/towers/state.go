package towers

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/freshet/freshet/schemas"
)

// Act is what a user did with an item: what moves the user tower by one step.
type Act struct {
	// Item is the item's vector, Dim long.
	Item []float32
	// Kind is what the user did. A kind that the tower has not learnt is read as none.
	Kind schemas.InteractionType
	// At is when, in ms since 1970, or Never where that is unknown.
	At int64
}

// State is what a user tower remembers of one user: the hidden values, and the time of the act that moved them last. Its zero value is
// that of a user who has done nothing, for every tower; from the first Follow on it belongs to one. It is for one goroutine at a time.
type State struct {
	hidden []float32
	clock  Clock
}

// Values are the hidden values, StateSize of them, none before the first Follow. They are for looking at.
func (s *State) Values() []float32 { return s.hidden }

// Reset makes a state that of a user who has done nothing, and keeps its memory for the next.
func (s *State) Reset() {
	clear(s.hidden)
	s.clock = Clock{}
}

// Clone is a state that goes its own way.
func (s *State) Clone() State { return State{slices.Clone(s.hidden), s.clock} }

// clockBytes is the length of a packed clock.
const clockBytes = 8

// Append packs the state, as it lies in Redis: little-endian, 8 bytes time in ms of the act that moved it last (Never before the first),
// then the hidden values as float32.
func (s *State) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.clock.last()))
	for _, h := range s.hidden {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(h))
	}
	return dst
}

// ParseState reads what Append wrote, and reports false for what it cannot have written. Whether the state is one of a tower, Fits tells.
func ParseState(packed string) (State, bool) {
	if len(packed) < clockBytes || (len(packed)-clockBytes)%4 != 0 {
		return State{}, false
	}
	u32 := func(at int) uint32 {
		b := packed[at : at+4]
		return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
	}
	s := State{hidden: make([]float32, (len(packed)-clockBytes)/4)}
	if at := int64(uint64(u32(0)) | uint64(u32(4))<<32); at != Never {
		s.clock = Clock{at, true}
	}
	for i := range s.hidden {
		s.hidden[i] = math.Float32frombits(u32(clockBytes + 4*i))
	}
	return s, true
}

// Clock tells the gaps between a user's acts. Its zero value is that of a user who has done nothing.
type Clock struct {
	at   int64
	runs bool
}

// Tick is the gap from the act before to one at this time, which becomes the act before. An act of an unknown time has no gap, and no time
// counts from it.
func (c *Clock) Tick(at int64) Gap {
	if at == Never {
		return 0
	}
	before := c.last()
	*c = Clock{at, true}
	return gapBetween(before, at)
}

func (c *Clock) last() int64 {
	if !c.runs {
		return Never
	}
	return c.at
}
