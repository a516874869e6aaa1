package tuning

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/freshet/freshet/pipelines/offline/training"
)

// Parameter says which values a setting may take: one of Values, or any between Min and Max.
type Parameter struct {
	Values []float64 `yaml:"values,omitempty"`
	Min    float64   `yaml:"min,omitempty"`
	Max    float64   `yaml:"max,omitempty"`
	// Log draws the logarithm evenly, for settings of which the ratio counts.
	Log bool `yaml:"log,omitempty"`
}

// Space is the parameters by the setting's path in the section training of a configuration, such as mixture.uniform.
type Space map[string]Parameter

// DefaultSpace is around the recipes that won on public data sets.
func DefaultSpace() Space {
	return Space{
		"learning_rate":   {Min: 0.003, Max: 0.03, Log: true},
		"dropout":         {Min: 0.05, Max: 0.5},
		"id_dropout":      {Min: 0, Max: 0.3},
		"dim":             {Values: []float64{32, 64, 128}},
		"layers":          {Values: []float64{1, 2, 3}},
		"batch_sequences": {Values: []float64{8, 16, 32, 64}},
		"min_item_events": {Values: []float64{1, 2, 3, 5, 10}},
	}
}

// ReadSpace reads a space from YAML; a key that is none is an error.
func ReadSpace(text []byte) (Space, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var s Space
	if err := d.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the space: %w", err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading the space: the file holds more than one document: keep one, without ---")
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("reading the space: %w", err)
	}
	return s, nil
}

// fixed are the settings that a search must not move: they are its budget, its luck, or what it is judged by.
var fixed = []string{"epochs", "time_budget", "seed", "workers", "repeats", "validation_users", "validation_window"}

// Validate names the first parameter that cannot be searched.
func (s Space) Validate() error {
	if len(s) == 0 {
		return errors.New("the space has no parameters: name one, such as learning_rate: {min: 0.003, max: 0.03, log: true}")
	}
	for _, name := range s.names() {
		p := s[name]
		var scratch training.Config
		_, err := setting(&scratch, name)
		switch {
		case err != nil:
			return err
		case slices.Contains(fixed, name):
			return fmt.Errorf("%s cannot be searched: it is the same for all trials, from the configuration", name)
		case len(p.Values) > 0 && (p.Min != 0 || p.Max != 0 || p.Log):
			return fmt.Errorf("%s has values and a range: give either", name)
		case len(p.Values) == 0 && !(p.Min < p.Max) || math.IsInf(p.Max-p.Min, 0):
			return fmt.Errorf("%s is from %v to %v: give values, or a min below a max", name, p.Min, p.Max)
		case p.Log && !(p.Min > 0):
			return fmt.Errorf("%s.min is %v: set it above 0, or leave out log", name, p.Min)
		}
	}
	return nil
}

func (s Space) names() []string { return slices.Sorted(maps.Keys(s)) }

// setting finds a number in the configuration by its path.
func setting(c *training.Config, path string) (reflect.Value, error) {
	v := reflect.ValueOf(c).Elem()
	for part := range strings.SplitSeq(path, ".") {
		next := reflect.Value{}
		for i := 0; v.Kind() == reflect.Struct && i < v.NumField(); i++ {
			if name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ","); name == part {
				next = v.Field(i)
			}
		}
		if !next.IsValid() {
			return v, fmt.Errorf("%s is no setting of training: name one by its path, such as learning_rate or mixture.uniform", path)
		}
		v = next
	}
	if v.Type() == reflect.TypeFor[time.Duration]() || v.Kind() != reflect.Int && v.Kind() != reflect.Float64 {
		// The names in fixed end here as well, but for those that are numbers.
		return v, fmt.Errorf("%s is a %v: only plain numbers can be searched", path, v.Type())
	}
	return v, nil
}

// Values are a trial's settings by their paths.
type Values map[string]float64

// apply puts them over the configuration.
func (values Values) apply(c training.Config) (training.Config, error) {
	for name, value := range values {
		field, err := setting(&c, name)
		if err != nil {
			return c, err
		}
		if field.Kind() == reflect.Int {
			field.SetInt(int64(math.Round(value)))
		} else {
			field.SetFloat(value)
		}
	}
	return c, c.Validate()
}

// of reads the space's settings from a configuration.
func (s Space) of(c training.Config) Values {
	values := Values{}
	for name := range s {
		field, err := setting(&c, name)
		switch {
		case err != nil: // Validate has found it
		case field.Kind() == reflect.Int:
			values[name] = float64(field.Int())
		default:
			values[name] = field.Float()
		}
	}
	return values
}

// draw gives trial n of a seed, numbers with three digits that people can read.
func (s Space) draw(seed uint64, n int) Values {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	values := Values{}
	for _, name := range s.names() {
		p := s[name]
		var scratch training.Config
		field, _ := setting(&scratch, name)
		var v float64
		switch lot := rng.Float64(); {
		case len(p.Values) > 0:
			v = p.Values[int(lot*float64(len(p.Values)))]
		case p.Log:
			v = p.Min * math.Pow(p.Max/p.Min, lot)
		default:
			v = p.Min + lot*(p.Max-p.Min)
		}
		if len(p.Values) == 0 {
			v, _ = strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
			v = min(max(v, p.Min), p.Max)
		}
		if field.Kind() == reflect.Int {
			v = math.Round(v)
		}
		values[name] = v
	}
	return values
}
