package training

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Fingerprint names all that decides a training's bits: each setting by its path, and digests of the data.
type Fingerprint map[string]string

// FingerprintOf reads all of the input.
func FingerprintOf(in *Input, cfg *Config) Fingerprint {
	f := Fingerprint{}
	f.settings("", cfg.Recipe())
	f["the catalogue"] = digest(len(in.Items), "items", func(h hash.Hash) {
		e := json.NewEncoder(h)
		for i := range in.Items {
			_ = e.Encode(&in.Items[i]) // strings and lists of them, into memory: cannot fail
		}
	})
	f["the sequences"] = digest(len(in.Sequences), "sequences", func(h hash.Hash) {
		for _, seq := range in.Sequences {
			digestSlice(h, seq)
		}
		for _, seq := range in.Kinds {
			digestSlice(h, seq)
		}
		for _, seq := range in.Times {
			digestSlice(h, seq)
		}
	})
	if in.OneChoice && cfg.Repeats {
		f["an item after itself"] = "one choice"
	}
	f["the searches"] = digest(len(in.Searches), "searches", func(h hash.Hash) {
		for _, s := range in.Searches {
			_, _ = fmt.Fprintf(h, "%d %q\n", s.Item, s.Text)
		}
	})
	f["the validation cases"] = digest(len(in.Validation), "cases", func(h hash.Hash) {
		e := json.NewEncoder(h)
		for i := range in.Validation {
			_ = e.Encode(&in.Validation[i])
		}
		_ = e.Encode(in.HoldOutAfter)
	})
	return f
}

// digestSlice writes the length first, so that no other parting of the same values has the same digest. T is of a fixed size.
func digestSlice[T any](h hash.Hash, values []T) {
	_ = binary.Write(h, binary.LittleEndian, int64(len(values)))
	_ = binary.Write(h, binary.LittleEndian, values)
}

func digest(n int, what string, write func(hash.Hash)) string {
	h := sha256.New()
	write(h)
	return fmt.Sprintf("%d %s (%x)", n, what, h.Sum(nil)[:8])
}

func (f Fingerprint) settings(path string, section map[string]any) {
	for name, value := range section {
		if inner, ok := value.(map[string]any); ok {
			f.settings(path+name+".", inner)
		} else {
			f[path+name] = fmt.Sprint(value)
		}
	}
}

// Differences tells what is not as it was in other.
func (f Fingerprint) Differences(other Fingerprint) []string {
	var all []string
	names := maps.Clone(f)
	maps.Copy(names, other)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		now, then := f[name], other[name]
		if now == then {
			continue
		}
		if now == "" {
			now = "not there"
		}
		if then == "" {
			then = "not there"
		}
		all = append(all, fmt.Sprintf("%s: %s now, %s then", name, now, then))
	}
	return all
}

// Recipe is the configuration by the names that it has in a file, with the number of workers that 0 stands for on this machine:
// what gives the same model again.
func (c *Config) Recipe() map[string]any {
	text, err := yaml.Marshal(c)
	if err != nil {
		panic(err) // numbers and words alone
	}
	var recipe map[string]any
	if err := yaml.Unmarshal(text, &recipe); err != nil {
		panic(err)
	}
	recipe["workers"] = c.workers()
	return recipe
}
