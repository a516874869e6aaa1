package schemas

import (
	"context"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/freshet/freshet/infra/embedded/servertest"
)

// keySubjects is a keyRegistry whose subjects have the schemas of these ids; what has none is registered as 5, a string.
type keySubjects map[string]int

func (r keySubjects) Register(_ context.Context, subject, schema string) (int, error) {
	if schema != keySchemas[5] {
		return 0, fmt.Errorf("no string: %s", schema)
	}
	r[subject] = 5
	return 5, nil
}

func (r keySubjects) Schema(ctx context.Context, id SchemaID) (Schema, error) {
	return keySchemas.Schema(ctx, id)
}

func (r keySubjects) Latest(_ context.Context, subject string) (int, Schema, error) {
	id, has := r[subject]
	if !has {
		return 0, Schema{}, fmt.Errorf("subject %s: %w", subject, ErrUnknownSchema)
	}
	return id, Schema{Text: keySchemas[id]}, nil
}

// TestWrittenKeys: what a publisher writes is what Keys reads, and what the converter of the format writes where it has one way only.
func TestWrittenKeys(t *testing.T) {
	for name, c := range map[string]struct {
		config   KeyConfig
		subjects keySubjects
		id, want string
	}{
		"raw":                {KeyConfig{KeyRaw, ""}, nil, "a<b", "a<b"},
		"none":               {KeyConfig{}, nil, "a<b", "a<b"},
		"json":               {KeyConfig{KeyJSON, ""}, nil, "a<b", `"a<b"`},
		"json, struct":       {KeyConfig{KeyJSON, "user_id"}, nil, "a<b", `{"user_id":"a<b"}`},
		"avro":               {KeyConfig{KeyAvro, ""}, nil, "a<b", "\x06a<b"},
		"confluent, new":     {KeyConfig{KeyConfluent, ""}, keySubjects{}, "a<b", framed(5, []byte("\x06a<b"))},
		"confluent, string":  {KeyConfig{KeyConfluent, ""}, keySubjects{"t-key": 5}, "a<b", framed(5, []byte("\x06a<b"))},
		"confluent, struct":  {KeyConfig{KeyConfluent, "user_id"}, keySubjects{"t-key": 7}, "1004", framed(7, []byte{0xd8, 0x0f})},
		"confluent, default": {KeyConfig{KeyConfluent, "user_id"}, keySubjects{"t-key": 9}, "ann", framed(9, []byte("\x02\x02\x06ann"))},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := NewKeyWriter(t.Context(), c.config, "topics.interactions", "t", DefaultLimits(), c.subjects)
			require.NoError(t, err)
			key, err := w.Tombstone(t.Context(), "user_id", c.id)
			require.NoError(t, err)
			require.Equal(t, hex.EncodeToString([]byte(c.want)), hex.EncodeToString(key))
			read, err := w.keys.ID(t.Context(), key)
			require.NoError(t, err)
			require.Equal(t, c.id, read)
			require.True(t, w.keys.Is(t.Context(), key, c.id))
			require.False(t, w.keys.Is(t.Context(), key, c.id+"x"))
		})
	}
}

// TestKeysThatCannotBeWritten are refused before anything is published, each with its remedy.
func TestKeysThatCannotBeWritten(t *testing.T) {
	for name, c := range map[string]struct {
		config   KeyConfig
		registry Registry
		says     string
	}{
		"no registry":       {KeyConfig{KeyConfluent, ""}, EmbeddedRegistry(), "set the URL of a schema registry"},
		"struct, none":      {KeyConfig{KeyConfluent, "user_id"}, keySubjects{}, "have the producer of these keys register its schema there first"},
		"struct, more":      {KeyConfig{KeyConfluent, "user_id"}, keySubjects{"t-key": 6}, "cannot be made from the id alone: shop.users.Key.tenant: the writer has no such field"},
		"struct, unnamed":   {KeyConfig{KeyConfluent, ""}, keySubjects{"t-key": 7}, "set topics.items.key_field"},
		"bytes":             {KeyConfig{KeyConfluent, ""}, keySubjects{"t-key": 8}, "neither a string nor a whole number"},
		"registry is away":  {KeyConfig{KeyConfluent, ""}, keySchemas, errAway.Error()},
		"format is unknown": {KeyConfig{"xml", ""}, keySchemas, `topics.items.key_format is "xml"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewKeyWriter(t.Context(), c.config, "topics.items", "t", DefaultLimits(), c.registry)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// TestIDsThatNoTombstoneReaches: a publisher does not write what the roles would refuse.
func TestIDsThatNoTombstoneReaches(t *testing.T) {
	for name, c := range map[string]struct {
		config   KeyConfig
		id, says string
	}{
		"empty":     {KeyConfig{KeyRaw, ""}, "", "it must not be empty"},
		"control":   {KeyConfig{KeyRaw, ""}, "a\nb", "without control characters"},
		"no UTF-8":  {KeyConfig{KeyJSON, ""}, "a\xff", "give valid UTF-8"},
		"quotes":    {KeyConfig{KeyRaw, ""}, `"u1"`, "no reader takes it from a key (topics.interactions.key_format: raw): this looks like a JSON string"},
		"no number": {KeyConfig{KeyConfluent, "user_id"}, "ann", "asks for a whole number"},
		"a zero":    {KeyConfig{KeyConfluent, "user_id"}, "007", "asks for a whole number"},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := NewKeyWriter(t.Context(), c.config, "topics.interactions", "t", DefaultLimits(), keySubjects{"t-key": 7})
			require.NoError(t, err)
			_, err = w.Tombstone(t.Context(), "user_id", c.id)
			require.True(t, IsInvalid(err), "%v", err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// TestKeysOfARegistry: of a subject that has a schema it is taken, of one that has none a string is registered.
func TestKeysOfARegistry(t *testing.T) {
	config := DefaultRegistryConfig()
	config.URL = servertest.Registry(t)
	registry, err := NewRegistry(config, nil)
	require.NoError(t, err)
	topic := servertest.Name() + ".keys"
	_, _, err = registry.Latest(t.Context(), topic+"-key")
	require.ErrorIs(t, err, ErrUnknownSchema)

	write := func(c KeyConfig, topic string) []byte {
		w, err := NewKeyWriter(t.Context(), c, "topics.interactions", topic, DefaultLimits(), registry)
		require.NoError(t, err)
		key, err := w.Tombstone(t.Context(), "user_id", "42")
		require.NoError(t, err)
		return key
	}
	plain := KeyConfig{Format: KeyConfluent}
	first := write(plain, topic)
	require.Equal(t, first, write(plain, topic))
	id, schema, err := registry.Latest(t.Context(), topic+"-key")
	require.NoError(t, err)
	require.Equal(t, `"string"`, schema.Text)
	require.Equal(t, framed(uint32(id), []byte("\x0442")), string(first))

	other := servertest.RegistryClient(t, config.URL)
	made, err := other.RegisterSchema(t.Context(), topic+"-struct-key", sr.Schema{Schema: keySchemas[7]}, -1, -1)
	require.NoError(t, err)
	require.Equal(t, framed(uint32(made), []byte{84}), string(write(KeyConfig{KeyConfluent, "user_id"}, topic+"-struct")))
}
