package profiles

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// golden is ann's profile as commit 56c8356 wrote it, every value in hexadecimal digits: her history of four had lost its oldest event by
// then. The bundle beside it is of that commit too. Both stay as they are: they stand for what lies in Redis where a newer build starts.
type golden struct {
	Vectors map[string]string `json:"vectors"`
	Profile map[string]string `json:"profile"`
	Seen    string            `json:"seen"`
	// StateAfter and EmbeddingAfter are what that commit wrote after one more event, a hide of i5.
	StateAfter     string `json:"state_after"`
	EmbeddingAfter string `json:"embedding_after"`
}

func (g *golden) bytes(t testing.TB, digits string) string {
	t.Helper()
	b, err := hex.DecodeString(digits)
	require.NoError(t, err)
	return string(b)
}

// TestProfilesOfAnEarlierBuildGoOn: a profile that was written before is read, and its state moves on as it would have then. A state that
// nobody could read would be encoded anew from a history that has lost events, and differ.
func TestProfilesOfAnEarlierBuildGoOn(t *testing.T) {
	var g golden
	content, err := os.ReadFile("testdata/before/ann.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &g))
	tower, err := towers.LoadUserTower("testdata/before/bundle")
	require.NoError(t, err)
	r := newRig(t, func(c *Config) { c.HistoryLength = 4 })
	r.live = []*towers.UserTower{tower}
	for id, digits := range g.Vectors {
		r.putVector(t, "m1", id, unpackFloats(g.bytes(t, digits)))
	}
	for field, digits := range g.Profile {
		require.NoError(t, r.client.HSet(t.Context(), r.profileKey(user), field, g.bytes(t, digits)).Err())
	}
	require.NoError(t, r.client.Set(t.Context(), r.seenKey(user), g.bytes(t, g.Seen), 0).Err())

	p := r.load(t, user, "m1")
	require.NoError(t, p.Err)
	require.Equal(t, g.bytes(t, g.Profile["e:m1"]), string(packFloats(p.Embedding)))
	state := g.bytes(t, g.Profile["s:m1"])
	taste := unpackTaste(state, g.bytes(t, g.Profile["e:m1"]), 6, tower)
	require.NotNil(t, taste)
	require.Equal(t, state, string(taste.packState(6)), "what is read and written again has the same bytes")
	_, turned := p.TurnedDown("i4")
	require.True(t, turned)

	next := at(7, 100_000, schemas.Hide, "i5")
	r.apply(t, next)
	fields, err := r.client.HGetAll(t.Context(), r.profileKey(user)).Result()
	require.NoError(t, err)
	want, got := g.bytes(t, g.StateAfter), fields["s:m1"]
	const header = 1 + 8 + 8
	require.Equal(t, want[:header], got[:header], "format, stamp and clock")
	// Another machine's vector units may round otherwise.
	require.InDeltaSlice(t, unpackFloats(want[header:]), unpackFloats(got[header:]), 1e-5)
	wantEmbedding := unpackFloats(g.bytes(t, g.EmbeddingAfter))
	require.InDeltaSlice(t, wantEmbedding, unpackFloats(fields["e:m1"]), 1e-5)

	var left []Event
	for _, e := range p.History[:3] {
		if e.ItemID != "without a vector" {
			left = append([]Event{{Interaction: schemas.Interaction{ItemID: e.ItemID, Type: e.Kind, OccurredAt: e.OccurredAt}}}, left...)
		}
	}
	anew := r.embeddingOf("m1", append(left, next)...)
	require.Greater(t, distance(wantEmbedding, anew), 0.01, "the state knows an event that the history has lost")
}

func distance(a, b []float32) (most float64) {
	for i := range a {
		most = max(most, float64(max(a[i]-b[i], b[i]-a[i])))
	}
	return most
}
