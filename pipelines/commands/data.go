package commands

import (
	"github.com/freshet/freshet/pipelines/dataset"
)

// data is what to train on and to evaluate with. Both commands part it alike, so that nobody is asked for what was learnt.
type data struct {
	MovieLens string  `name:"movielens" xor:"data" type:"existingdir" placeholder:"DIR" help:"A MovieLens data set: ml-latest-small, ml-100k or ml-1m. Without it the shop that the demo makes up."`
	GSASRec   string  `name:"gsasrec" xor:"data" type:"existingdir" placeholder:"DIR" help:"The data set ml-1m in the split of gSASRec, the published protocol."`
	Past      float64 `default:"0.85" help:"Share of the events, from the oldest, to learn from; each user's last new item is always held out."`
}

// heldOut reads MovieLens, or makes up the shop of the demo.
func (d *data) heldOut() (*dataset.Dataset, dataset.HoldOut, error) {
	if d.Past <= 0 || d.Past > 1 {
		return nil, dataset.HoldOut{}, usage("--past is %g: give a share above 0, up to 1", d.Past)
	}
	read := func() (*dataset.Dataset, error) { return dataset.Synthetic(dataset.DefaultSyntheticConfig()) }
	if d.MovieLens != "" {
		read = func() (*dataset.Dataset, error) { return dataset.ReadMovieLens(d.MovieLens) }
	}
	all, err := read()
	if err != nil {
		return nil, dataset.HoldOut{}, err
	}
	return all, dataset.NewHoldOut(all, d.Past), nil
}
