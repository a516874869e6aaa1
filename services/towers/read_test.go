package towers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadWeightsGivesBackWhatWasWritten(t *testing.T) {
	b := testBundle(4)
	b.Commit, b.From, b.Recipe = "1f2e", "20261101t000000_00000000", json.RawMessage(`{"seed":18446744073709551615}`)
	dir := filepath.Join(t.TempDir(), "bundle")
	m, err := WriteBundle(dir, b)
	require.NoError(t, err)
	read, err := ReadWeights(dir)
	require.NoError(t, err)
	require.Equal(t, m.Version, read.Version)
	require.JSONEq(t, string(b.Recipe), string(read.Recipe))
	b.Version, b.Created, b.Recipe = read.Version, read.Created, read.Recipe
	require.Equal(t, b, read)

	again, err := WriteBundle(filepath.Join(t.TempDir(), "copy"), read)
	require.NoError(t, err)
	require.Equal(t, m.Checksums, again.Checksums)

	require.NoError(t, os.WriteFile(filepath.Join(dir, userFile), nil, 0o600))
	_, err = ReadWeights(dir)
	require.True(t, IsTruncated(err), "%v", err)
	_, err = ReadWeights(filepath.Join(dir, "nowhere"))
	require.True(t, IsMissing(err), "%v", err)
}
