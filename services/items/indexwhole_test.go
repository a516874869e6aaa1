package items

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheMarkOfACollectionIsBoundToItsID: a collection that is made in place of a dropped one bears the same name.
func TestTheMarkOfACollectionIsBoundToItsID(t *testing.T) {
	s := newStore(t)
	require.NoError(t, s.MarkIndexWhole(t.Context(), "marked", 7))
	require.NoError(t, s.MarkIndexPartial(t.Context(), "partial"))
	require.NoError(t, s.MarkIndexPartial(t.Context(), "mended"))
	require.NoError(t, s.MarkIndexWhole(t.Context(), "mended", 9))
	require.NoError(t, s.MarkIndexWhole(t.Context(), "lost-rows", 9))
	require.NoError(t, s.MarkIndexPartial(t.Context(), "lost-rows"))
	for _, c := range []struct {
		model      string
		collection int64
		want       IndexState
	}{
		{"nobody's", 7, IndexUnknown},
		{"marked", 7, IndexWhole},
		{"marked", 8, IndexPartial},
		{"marked", 70, IndexPartial},
		{"marked", 0, IndexPartial},
		{"partial", 7, IndexPartial},
		{"mended", 9, IndexWhole},
		{"lost-rows", 9, IndexPartial},
	} {
		state, err := s.IndexState(t.Context(), c.model, c.collection)
		require.NoError(t, err)
		require.Equal(t, c.want, state, "%+v", c)
	}
	require.NoError(t, s.rdb.Del(t.Context(), s.indexKey()).Err())
	state, err := s.IndexState(t.Context(), "marked", 7)
	require.NoError(t, err)
	require.Equal(t, IndexUnknown, state, "an emptied Redis knows of none")
}

// TestWhichModelAGroupFills, each group for itself, and apart from the models' own marks.
func TestWhichModelAGroupFills(t *testing.T) {
	s := newStore(t)
	fills := func(group string) string {
		model, err := s.IndexFilledBy(t.Context(), group)
		require.NoError(t, err)
		return model
	}
	require.Empty(t, fills("a"))
	require.NoError(t, s.NoteIndexFilledBy(t.Context(), "a", "m1"))
	require.NoError(t, s.NoteIndexFilledBy(t.Context(), "b", "m1"))
	require.NoError(t, s.NoteIndexFilledBy(t.Context(), "a", "m2"))
	require.Equal(t, []string{"m2", "m1", ""}, []string{fills("a"), fills("b"), fills("c")})
	state, err := s.IndexState(t.Context(), "m2", 1)
	require.NoError(t, err)
	require.Equal(t, IndexUnknown, state, "to fill a collection is not to have filled it")
}

// TestIndexedRecentCountsRowsOfTheModel: without a mark in the index a row is not there, whatever the vector says.
func TestIndexedRecentCountsRowsOfTheModel(t *testing.T) {
	s := newStore(t)
	count := func(model string) [2]int64 {
		recent, indexed, err := s.IndexedRecent(t.Context(), model)
		require.NoError(t, err)
		return [2]int64{recent, indexed}
	}
	require.Equal(t, [2]int64{0, 0}, count("m1"))
	outcomes := write(t, s, upsert("a", 1, 1, 0), upsert("b", 1, 0, 1), upsert("c", 1))
	require.Equal(t, [2]int64{3, 0}, count("m1"))
	for i := range 2 {
		require.True(t, outcomes[i].NeedsIndex)
		_, err := s.MarkIndexed(t.Context(), "m1", []Mark{outcomes[i].Mark})
		require.NoError(t, err)
	}
	require.Equal(t, [2]int64{3, 2}, count("m1"))
	require.Equal(t, [2]int64{3, 0}, count("m2"), "another model's index is another")
}
