package training

import (
	"time"

	"github.com/freshet/freshet/pipelines/dataset"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// FromDataset makes an input of all events of a data set.
func FromDataset(d *dataset.Dataset) Input {
	in := Input{Items: features(d.Items), Sequences: d.Histories(), Times: make([][]int64, len(d.Users))}
	for i := range d.Events {
		if e := &d.Events[i]; towers.CountsForTaste(e.Type) {
			in.Times[e.User] = append(in.Times[e.User], e.At)
		}
	}
	if n := len(d.Events); n > 0 {
		in.Data.From, in.Data.To = time.UnixMilli(d.Events[0].At).UTC(), time.UnixMilli(d.Events[n-1].At).UTC()
	}
	return in
}

// FromSequences makes an input of a published split, its own validation cases included.
func FromSequences(s *dataset.Sequences) Input {
	in := Input{Items: features(s.Items), Sequences: s.Train, Validation: make([]Case, len(s.Validation))}
	for i, c := range s.Validation {
		in.Validation[i] = Case{History: c.History, Target: c.Targets[0]}
	}
	return in
}

func features(items []schemas.ItemChange) []towers.ItemFeatures {
	out := make([]towers.ItemFeatures, len(items))
	for i := range items {
		out[i] = towers.FeaturesOf(&items[i])
	}
	return out
}
