package schemas

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCodecsEqualGoavro holds, for random records, that the typed encoder writes goavro's bytes, and that the typed decoder gives the
// record back from them.
func TestCodecsEqualGoavro(t *testing.T) {
	t.Run("interaction", func(t *testing.T) { equalGoavro(t, interactionNative, generator.interaction) })
	t.Run("item change", func(t *testing.T) { equalGoavro(t, itemNative, generator.item) })
	t.Run("request", func(t *testing.T) { equalGoavro(t, requestNative, generator.request) })
	t.Run("reply", func(t *testing.T) { equalGoavro(t, replyNative, generator.reply) })
}

func equalGoavro[T Record](t *testing.T, native func(*T) map[string]any, random func(generator) T) {
	o := newOracle(t, native)
	c := codecOf[T]()
	g := generator{rand.New(rand.NewPCG(1, 2))}
	for range 2000 {
		record := random(g)
		theirs, err := o.BinaryFromNative(nil, o.native(&record))
		require.NoError(t, err)
		ours := c.encode(nil, &record)
		require.Equal(t, theirs, ours, "%+v", record)
		back, err := c.decode(theirs)
		require.NoError(t, err)
		require.Equal(t, record, back)
	}
}
