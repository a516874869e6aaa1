package commands

import (
	"errors"
	"math"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/training"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/terminal"
)

// data is what to train on and to evaluate with. Both commands split it in the same way, so that no test target was learnt from.
type data struct {
	Data   string `type:"existingdir" xor:"source" placeholder:"DIR" help:"Folder of a data set. Without it, and without --from-topics, the synthetic shop of the demo."`
	Format string `enum:"${formats}" default:"auto" placeholder:"FORMAT" help:"Format of the folder, and how it is split: ${enum}. auto looks at the files; random draws a fifth of MovieLens's events for the test; events are tables called interactions and items."`
	tableFlags
	topicData
	Split   string  `enum:"leave-one-out,time" default:"leave-one-out" placeholder:"SPLIT" help:"For formats without a split of their own (movielens, events, topics, the synthetic shop): ${enum}. leave-one-out holds back each user's last choice; time cuts all events at one moment, trains on the earlier ones, and takes each user's first choice afterwards as the target."`
	Past    float64 `default:"0.85" help:"For these splits: share of the events to train on, oldest first."`
	Repeats string  `enum:"auto,ask,skip" default:"auto" placeholder:"REPEATS" help:"For these splits, whether an item that the user had before may be a target: ${enum}. ask also keeps such items in the lists; auto asks if at least a fifth of the choices are repeats, and in evaluate does as the bundle was trained."`
	TieSeed uint64  `default:"1" placeholder:"N" help:"For these splits: seed that draws the order of events of one user at one moment, if the data does not tell it."`
	Cold    float64 `placeholder:"SHARE" help:"For published protocols: hide this share of the items from training, and test on those items only."`
}

// published reads the data set where its format has a protocol of its own, and gives nil where heldOut is to read it.
func (d *data) published() (*dataset.Sequences, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	if d.Data == "" {
		if d.Format != "auto" {
			return nil, usage("--format is %s, but there is no --data DIR to read", d.Format)
		}
		return nil, errors.Join(d.noColdItems(), d.none())
	}
	format, err := d.format()
	if err != nil {
		return nil, err
	}
	if isTables(format) {
		return nil, d.noColdItems()
	}
	if err := d.none(); err != nil {
		return nil, err
	}
	if format == dataset.MovieLensFormat {
		return nil, d.noColdItems()
	}
	if d.Split == timeSplit {
		return nil, usage("--split is %s, but %s is published with a split of its own: leave --split out", d.Split, format)
	}
	if d.Repeats != string(dataset.AutoRepeats) || d.TieSeed != dataset.DefaultTieSeed {
		return nil, usage("%s is published with an order and questions of its own: leave --repeats and --tie-seed out", format)
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
			return nil, errors.New("hiding items: no test case has a hidden item as its target; give a larger --cold")
		}
	}
	return s, nil
}

// format is the one that was named, or the one that the files tell.
func (d *data) format() (string, error) {
	return d.formatOf(d.Data, d.Format)
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

// heldOut reads what has no split of its own, or makes up the shop of the demo, and parts it; allLater is how much a split by
// time asks for.
func (d *data) heldOut(env *Env, allLater bool) (*dataset.Dataset, dataset.HoldOut, error) {
	if d.Past <= 0 || d.Past > 1 {
		return nil, dataset.HoldOut{}, usage("--past is %g: give a share above 0, up to 1", d.Past)
	}
	if d.TieSeed == 0 {
		return nil, dataset.HoldOut{}, usage("--tie-seed is 0: give a number from 1 on")
	}
	all, err := d.all(env)
	if err != nil {
		return nil, dataset.HoldOut{}, err
	}
	if all.TieSeed != 0 && all.TieSeed != d.TieSeed {
		all.DrawTies(d.TieSeed)
	}
	repeats := d.repeats(env, all)
	if d.Split == timeSplit {
		return all, dataset.NewTimeHoldOut(all, d.Past, allLater, repeats), nil
	}
	return all, dataset.NewHoldOut(all, d.Past, repeats), nil
}

// repeats settles --repeats by the data, and says so where it asks for them.
func (d *data) repeats(env *Env, all *dataset.Dataset) dataset.Repeats {
	repeats, share := dataset.Repeats(d.Repeats).Settle(all)
	if d.Repeats == string(dataset.AutoRepeats) && repeats == dataset.AskRepeats {
		_, _ = terminal.Fprintf(env.Err, "%.1f %% of the choices are of items that the user had before. Such items are targets too, and "+
			"stay in the lists, as in requests with include_seen (--repeats ask). With --repeats skip only new items are targets\n", 100*share)
	}
	return repeats
}

// learntFrom is what may be learnt from; the bundle's manifest keeps what was settled.
func learntFrom(held *dataset.HoldOut) training.Input {
	in := training.FromDataset(held.Past)
	in.Data.Repeats = string(held.Repeats)
	return in
}

func (d *data) all(env *Env) (*dataset.Dataset, error) {
	if d.FromTopics {
		return d.read(env)
	}
	if d.Data == "" {
		return dataset.Synthetic(dataset.DefaultSyntheticConfig())
	}
	format, err := d.format()
	if err != nil {
		return nil, err
	}
	if isTables(format) {
		return d.readTables(env, d.Data, format)
	}
	return dataset.ReadMovieLens(d.Data)
}

// judged has a data set judge ratings as the roles do, and says what comes of it.
func judged(env *Env, d *dataset.Dataset) (*dataset.Dataset, error) {
	s, err := env.Settings()
	if err != nil {
		return nil, err
	}
	d.Ratings = s.Profiles.Ratings
	var given, low, outside int
	for i := range d.Events {
		e := &d.Events[i]
		if e.Type != schemas.Rating || math.IsNaN(float64(e.Value)) {
			continue
		}
		given++
		switch {
		case d.Kind(e) != e.Type:
			low++
		case d.Ratings.Highest > d.Ratings.Lowest && !d.Ratings.Holds(e.Value):
			outside++
		}
	}
	if low > 0 || outside > 0 {
		_, _ = terminal.Fprintf(env.Err, "%d of %d ratings are below the middle of %v to %v and count as dislikes (profiles.ratings)\n",
			low, given, d.Ratings.Lowest, d.Ratings.Highest)
	}
	if outside > 0 {
		_, _ = terminal.Fprintf(env.Err,
			"%d ratings are outside of %v to %v and count as choices: set profiles.ratings to the scale of the data\n",
			outside, d.Ratings.Lowest, d.Ratings.Highest)
	}
	return d, nil
}

// tellRepeated says what was left out, where something was.
func tellRepeated(env *Env, once *dataset.Once) {
	if once.Repeated > 0 {
		_, _ = terminal.Fprintf(env.Err, "%d interactions left out that come again under the same event_id\n", once.Repeated)
	}
}
