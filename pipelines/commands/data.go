package commands

import (
	"errors"

	"github.com/freshet/freshet/pipelines/dataset"
)

// data is what to train on and to evaluate with. Both commands part it alike, so that nobody is asked for what was learnt.
type data struct {
	Data   string  `type:"existingdir" placeholder:"DIR" help:"Folder of a data set. Without it the shop that the demo makes up."`
	Format string  `enum:"auto,movielens,gsasrec,s3rec,sessions,random" default:"auto" placeholder:"FORMAT" help:"How the folder is written and parted: ${enum}. auto goes by the files; random draws a fifth of MovieLens's events for the test."`
	Split  string  `enum:"leave-one-out,time" default:"leave-one-out" placeholder:"SPLIT" help:"Formats without a split of their own (movielens, the made-up shop): ${enum}. leave-one-out holds back each user's last new item; time asks for what users did first after one moment, up to which all is learnt from."`
	Past   float64 `default:"0.85" help:"Of these splits: share of the events, from the oldest, to learn from."`
	Cold   float64 `placeholder:"SHARE" help:"Published protocols: take this share of the items out of training, and ask for those only."`
}

// published reads the data set where its format has a protocol of its own, and gives nil where heldOut is to read it.
func (d *data) published() (*dataset.Sequences, error) {
	if d.Data == "" {
		if d.Format != "auto" {
			return nil, usage("--format is %s, but there is no --data DIR to read", d.Format)
		}
		return nil, d.noColdItems()
	}
	format := d.Format
	if format == "auto" {
		var err error
		if format, err = dataset.DetectFormat(d.Data); err != nil {
			return nil, err
		}
	}
	if format == dataset.EventsFormat {
		return nil, d.noColdItems()
	}
	if d.Split == timeSplit {
		return nil, usage("--split is %s, but %s is published with a split of its own: leave --split out", d.Split, format)
	}
	if d.Cold < 0 || d.Cold >= 1 {
		return nil, usage("--cold is %g: give a share of 0 or more, below 1", d.Cold)
	}
	s, err := dataset.ReadFormat(format, d.Data)
	if err != nil {
		return nil, err
	}
	if d.Cold > 0 {
		s.HideItems(d.Cold, coldSeed)
		if len(s.Test) == 0 {
			return nil, errors.New("hiding items: no test case asks for a hidden one; give a larger --cold")
		}
	}
	return s, nil
}

// coldSeed draws the same items for training and for evaluation.
const coldSeed = 1

func (d *data) noColdItems() error {
	if d.Cold != 0 {
		return usage("--cold is %g: only published protocols take items out (gsasrec, s3rec, sessions, random)", d.Cold)
	}
	return nil
}

// timeSplit is --split's name of the global split by time.
const timeSplit = "time"

// heldOut reads MovieLens, or makes up the shop of the demo, and parts it; allLater is how much a split by time asks for.
func (d *data) heldOut(allLater bool) (*dataset.Dataset, dataset.HoldOut, error) {
	if d.Past <= 0 || d.Past > 1 {
		return nil, dataset.HoldOut{}, usage("--past is %g: give a share above 0, up to 1", d.Past)
	}
	read := func() (*dataset.Dataset, error) { return dataset.Synthetic(dataset.DefaultSyntheticConfig()) }
	if d.Data != "" {
		read = func() (*dataset.Dataset, error) { return dataset.ReadMovieLens(d.Data) }
	}
	all, err := read()
	if err != nil {
		return nil, dataset.HoldOut{}, err
	}
	if d.Split == timeSplit {
		return all, dataset.NewTimeHoldOut(all, d.Past, allLater), nil
	}
	return all, dataset.NewHoldOut(all, d.Past), nil
}
