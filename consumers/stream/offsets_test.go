package stream

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The oracle keeps every offset and looks through all of them each time.
func TestOffsetsAgainstAnOracle(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 0))
		var o offsets
		type held struct {
			offset int64
			ticket int
		}
		var open []held
		offset, released := int64(rng.IntN(5)), 0
		taken := 0
		for step := range 300 {
			if len(open) == 0 || rng.IntN(2) == 0 {
				offset += 1 + int64(rng.IntN(2)*rng.IntN(3)) // holes
				open = append(open, held{offset, o.take(offset, time.Time{})})
				taken++
				continue
			}
			i := rng.IntN(len(open))
			ticket := open[i].ticket
			open = append(open[:i], open[i+1:]...)
			commit, moved := o.finish(ticket)
			released += moved
			want := offset + 1
			for _, h := range open {
				want = min(want, h.offset)
			}
			require.Equal(t, want, commit, "seed %d step %d", seed, step)
			require.LessOrEqual(t, released, taken-len(open))
			if len(open) == 0 {
				require.Equal(t, taken, released, "all room is given back")
			}
		}
	}
}

func TestOffsetsHoldOnlyWhatIsOpen(t *testing.T) {
	var o offsets
	for i := range int64(100_000) {
		o.finish(o.take(i, time.Time{}))
	}
	require.LessOrEqual(t, cap(o.taken), 16)
}
