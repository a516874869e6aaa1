package training

import (
	"time"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// FromDataset makes an input of all events and searches of a data set.
func FromDataset(d *dataset.Dataset) Input {
	timelines := d.Timelines()
	in := Input{
		Items: features(d.Items), Sequences: make([][]int32, len(timelines)),
		Kinds: make([][]schemas.InteractionType, len(timelines)), Times: make([][]int64, len(timelines)), OneChoice: true,
	}
	for u, timeline := range timelines {
		for i := range timeline {
			e := &timeline[i]
			in.Sequences[u] = append(in.Sequences[u], e.Item)
			in.Kinds[u], in.Times[u] = append(in.Kinds[u], e.Type), append(in.Times[u], e.At)
		}
	}
	for _, s := range d.Searches {
		in.Searches = append(in.Searches, Search{Text: s.Text, Item: s.Item})
	}
	in.Data.Binding = d.Binding
	in.Data.TieSeed = d.TieSeed
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
