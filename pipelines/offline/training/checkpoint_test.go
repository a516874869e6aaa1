package training

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// countdown is a context that ends when it has been asked left times. Training asks before each step.
type countdown struct {
	context.Context //nolint:containedctx // it is one
	left            int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// lasting is what of a result does not depend on the clock.
func lasting(r Result) Result {
	r.Elapsed, r.Throughput = 0, 0
	return r
}

// TestInterruptedTrainingComesToTheSameBits stops trainings at random steps, as often as it takes, and holds what they come to
// against the same training without a pause.
func TestInterruptedTrainingComesToTheSameBits(t *testing.T) {
	cases := map[string]func(*Config){
		"full softmax":          func(*Config) {},
		"sampled softmax":       func(c *Config) { c.FullSoftmaxMaxItems, c.Negatives = 0, 15 },
		"heads that stop early": func(c *Config) { c.Heads, c.Patience, c.Epochs = 3, 1, 9 },
		"no validation":         func(c *Config) { c.ValidationUsers = 0 },
		"warm start":            func(c *Config) { c.WarmStart = WarmStart{Epochs: 1, LearningRate: 1}; c.Heads = 2 },
	}
	for name, edit := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := quickConfig()
			cfg.Epochs, cfg.Dim, cfg.Layers, cfg.IDDropout, cfg.Query.Enabled = 5, 8, 1, 0.2, false
			edit(&cfg)
			in := cycles(120)
			o := Options{}
			if name == "warm start" {
				o.From = trainedBundle(t, cycles(60), cfg)
			}
			want, whole, err := TrainWith(t.Context(), in, cfg, o)
			require.NoError(t, err)

			lots := rand.New(rand.NewPCG(1, uint64(len(name))))
			o.Checkpoint = filepath.Join(t.TempDir(), "folder", "checkpoint")
			stops := 0
			for {
				// An epoch has about 8 steps: less than 9 would never come to the end of one.
				got, result, err := TrainWith(&countdown{t.Context(), 9 + lots.IntN(20)}, in, cfg, o)
				require.NoError(t, err)
				if result.Stop == StopCaller {
					stops++
					require.Less(t, stops, 100)
					continue
				}
				require.Equal(t, lasting(whole), lasting(result))
				require.Equal(t, want.vectors, got.vectors)
				for k := range want.heads {
					require.Equal(t, want.heads[k].Flat, got.heads[k].Flat, "head %d", k)
				}
				break
			}
			require.Greater(t, stops, 1)
			require.FileExists(t, o.Checkpoint, "the bundle is not written yet")
			again, _, err := TrainWith(&countdown{t.Context(), 0}, in, cfg, o)
			require.NoError(t, err, "nothing is left to train")
			require.Equal(t, want.vectors, again.vectors)
			require.NoError(t, RemoveCheckpoint(o.Checkpoint))
			require.NoError(t, RemoveCheckpoint(o.Checkpoint))
		})
	}
}

// interrupted leaves a checkpoint.
func interrupted(t *testing.T, in Input, cfg Config) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "checkpoint")
	_, result, err := TrainWith(&countdown{t.Context(), 12}, in, cfg, Options{Checkpoint: path})
	require.NoError(t, err)
	require.Equal(t, StopCaller, result.Stop)
	require.FileExists(t, path)
	return path
}

func TestCheckpointOfAnotherTrainingIsRefused(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs, cfg.Dim = 3, 8
	path := interrupted(t, cycles(120), cfg)
	cases := map[string]struct {
		edit func(*Input, *Config)
		says string
	}{
		"setting":       {func(_ *Input, c *Config) { c.LearningRate = 0.5 }, "learning_rate: 0.5 now, 0.015 then"},
		"inner setting": {func(_ *Input, c *Config) { c.Vocabulary.MinItems = 7 }, "vocabulary.min_items: 7 now, 2 then"},
		"workers":       {func(_ *Input, c *Config) { c.Workers = 3 }, "workers: 3 now, 2 then"},
		"catalogue":     {func(in *Input, _ *Config) { in.Items[3].Title = "another" }, "the catalogue: 40 items ("},
		"an event more": {func(in *Input, _ *Config) { in.Sequences[3] = append(in.Sequences[3], 1) }, "the sequences: 120 sequences ("},
		"validation":    {func(in *Input, _ *Config) { in.Validation = []Case{{History: []int32{1}, Target: 2}} }, "the validation cases: 1 cases ("},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in, cfg := cycles(120), cfg
			c.edit(&in, &cfg)
			_, _, err := TrainWith(t.Context(), in, cfg, Options{Checkpoint: path})
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "--restart")
		})
	}
	_, result, err := TrainWith(t.Context(), cycles(100), cfg, Options{Checkpoint: path, Restart: true})
	require.NoError(t, err)
	require.Equal(t, 3, result.Epochs)
}

func TestDamagedCheckpointIsRefused(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs, cfg.Dim = 3, 4
	path := interrupted(t, cycles(120), cfg)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, edit := range map[string]func([]byte) []byte{
		"empty":       func([]byte) []byte { return nil },
		"cut short":   func(b []byte) []byte { return b[:len(b)-1] },
		"longer":      func(b []byte) []byte { return append(b, 0) },
		"a bit":       func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"no magic":    func(b []byte) []byte { b[0]++; return b },
		"endless":     func(b []byte) []byte { binary.LittleEndian.PutUint32(b[10:], math.MaxUint32); return b },
		"no such key": func(b []byte) []byte { return bytes.Replace(b, []byte("kept"), []byte("left"), 1) },
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(path, edit(bytes.Clone(whole)), 0o600))
			_, _, err := TrainWith(t.Context(), cycles(120), cfg, Options{Checkpoint: path})
			require.ErrorIs(t, err, errDamaged)
			require.ErrorContains(t, err, path)
		})
	}
	newer := bytes.Clone(whole)
	newer[8]++
	require.NoError(t, os.WriteFile(path, newer, 0o600))
	_, _, err = TrainWith(t.Context(), cycles(120), cfg, Options{Checkpoint: path})
	require.ErrorContains(t, err, "format version 2")
}

// TestCheckpointThatCannotBeWritten: training goes on, and says so.
func TestCheckpointThatCannotBeWritten(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs, cfg.Dim = 2, 4
	folder := filepath.Join(t.TempDir(), "folder")
	var said []string
	_, result, err := TrainWith(t.Context(), cycles(50), cfg, Options{
		Checkpoint: filepath.Join(folder, "checkpoint"), Say: func(line string) { said = append(said, line) },
		Progress: func(Progress) { _ = os.RemoveAll(folder) },
	})
	require.NoError(t, err)
	require.Equal(t, StopEpochs, result.Stop)
	require.Contains(t, fmt.Sprint(said), "no checkpoint of epoch 1")

	_, _, err = TrainWith(t.Context(), cycles(50), cfg, Options{Checkpoint: "/dev/null/checkpoint"})
	require.ErrorContains(t, err, "folder")
}

func FuzzCheckpoint(f *testing.F) {
	head := checkpoint{
		Fingerprint: Fingerprint{"dim": "8"}, Elapsed: time.Minute,
		Current: runState{Steps: 3, Loss: exact(math.NaN()), BestNDCG: exact(math.Inf(-1)), Lots: []byte{1}},
	}
	var b bytes.Buffer
	require.NoError(f, encodeCheckpoint(&b, &head, [][]float32{{1, 2}, nil, {float32(math.Inf(1))}}))
	f.Add(b.Bytes()[:b.Len()-sha256.Size])
	f.Add([]byte(checkpointMagic))
	f.Fuzz(func(t *testing.T, content []byte) {
		sum := sha256.Sum256(content) // so that more than the checksum is tried
		content = append(content, sum[:]...)
		c, err := openCheckpoint(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			return
		}
		var into [][]float32
		room := len(content)
		for _, n := range c.head.Tensors {
			if room -= max(n, 0); n < 0 || room < 0 {
				return
			}
			into = append(into, make([]float32, n))
		}
		if c.tensors(into) != nil {
			return
		}
		// What reads, writes and reads again as the same.
		var again bytes.Buffer
		require.NoError(t, encodeCheckpoint(&again, &c.head, into))
		back, err := openCheckpoint(bytes.NewReader(again.Bytes()), int64(again.Len()))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(c.head), fmt.Sprint(back.head))
		require.NoError(t, back.tensors(into))
	})
}

// TestAFileThatIsNoCheckpointStays: --restart takes away a checkpoint, not whatever has the name.
func TestAFileThatIsNoCheckpointStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "interactions.csv")
	require.NoError(t, os.WriteFile(path, []byte("user_id,item_id\n"), 0o600))
	in, cfg := cycles(60), quickConfig()
	_, _, err := TrainWith(t.Context(), in, cfg, Options{Checkpoint: path, Restart: true})
	require.ErrorContains(t, err, "interactions.csv is no checkpoint")
	require.FileExists(t, path)
}
