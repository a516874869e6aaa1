package evaluation

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/freshet/freshet/pipelines/offline/dataset"
)

// Learning is what baselines learn from, and the cases by which their settings are chosen. Settings that nobody searched for would
// flatter a model whose own were.
type Learning struct {
	// Items is the size of the catalogue.
	Items int
	// Known is all that may be learnt from before the test: the chosen setting learns from it.
	Known Sessions
	// Train is Known without what Validation asks for: each setting that is tried learns from it.
	Train      Sessions
	Validation []dataset.Case
	// IncludeSeen is the protocol's, for validation as for the test.
	IncludeSeen bool
	// Limits bound what EASE may cost.
	Limits EASELimits
	// Seed draws the validation cases, of which MostValidation are asked at the most.
	Seed uint64
	// Progress, if not nil, is told each setting that is about to be tried.
	Progress func(scorer, setting string)
}

// MostValidation is how many validation cases choose a setting at the most.
const MostValidation = 2000

// chosenAt is the length of the lists whose NDCG chooses.
const chosenAt = 10

// Chosen says how a baseline is set, and how that came about.
type Chosen struct {
	Scorer  string `json:"scorer"`
	Setting string `json:"setting"`
	// About says what the scorer is, such as whose neighbours speak.
	About string `json:"about"`
	// Cases is how many validation cases the settings were tried on, of Of that there are; 0 where there are none, and the
	// setting is the first of those that would have been tried.
	Cases int `json:"cases"`
	Of    int `json:"of"`
	// Tried has the NDCG@10 of each setting on these cases.
	Tried []Tried `json:"tried,omitempty"`
}

// Tried is a setting and its NDCG@10 on the validation cases.
type Tried struct {
	Setting string  `json:"setting"`
	NDCG    float64 `json:"ndcg"`
}

// The settings that are tried. The first of each is taken where there are no validation cases.
var (
	itemNeighbours  = []int{20, 50, 200}
	itemShrinkages  = []float64{0, 10, 100}
	easeLambdas     = []lambda{500, 100, 250, 1000} // the first is the paper's for its smallest data set
	sessionSettings = sessionGrid([]int{100, 50, 500}, []int{5000, 1000}, []int{10, 3})
)

// mostSample is the largest sample of sessionSettings.
const mostSample = 5000

func sessionGrid(neighbours, samples, last []int) (grid []SessionSetting) {
	for _, k := range neighbours {
		for _, sample := range samples {
			for _, n := range last {
				grid = append(grid, SessionSetting{k, sample, n, false}, SessionSetting{k, sample, n, true})
			}
		}
	}
	return grid
}

// Settings is how many settings ItemKNN, SessionKNN and EASE try.
func Settings() int {
	return len(itemNeighbours)*len(itemShrinkages) + len(sessionSettings) + len(easeLambdas)
}

// ItemKNN is that baseline with the setting that did best.
func (l *Learning) ItemKNN(ctx context.Context) (*ItemKNN, Chosen, error) {
	t := newTrial[ItemSetting](ctx, l, new(ItemKNN).Name())
	for _, shrinkage := range itemShrinkages {
		var near *neighbourhoods
		for _, k := range itemNeighbours {
			t.try(ItemSetting{k, shrinkage}, func() (Scorer, error) {
				if near == nil {
					near = newNeighbourhoods(l.Train.Rows, l.Items, slices.Max(itemNeighbours), shrinkage)
				}
				return near.scorer(k), nil
			})
		}
	}
	if t.err != nil {
		return nil, Chosen{}, t.err
	}
	const about = "the neighbours are those of each candidate item, by the cosine of who had both"
	return NewItemKNN(l.Known.Rows, l.Items, t.best), t.chosen(about), nil
}

// SessionKNN is that baseline with the setting that did best.
func (l *Learning) SessionKNN(ctx context.Context) (*SessionKNN, Chosen, error) {
	t := newTrial[SessionSetting](ctx, l, new(SessionKNN).Name())
	var index *sessionIndex
	for _, s := range sessionSettings {
		t.try(s, func() (Scorer, error) {
			if index == nil {
				index = newSessionIndex(l.Train, l.Items, mostSample)
			}
			return &SessionKNN{index, s}, nil
		})
	}
	if t.err != nil {
		return nil, Chosen{}, t.err
	}
	about := "the neighbours are other sessions or, where the data has none, other users' whole histories"
	if l.Known.Ends == nil {
		about += "; which are newest is not known, so the sample is drawn by lot"
	}
	return NewSessionKNN(l.Known, l.Items, t.best), t.chosen(about), nil
}

// EASECost estimates what EASE will take.
func (l *Learning) EASECost() (memory int64, took time.Duration) {
	return EASECost(l.Items, l.solutions())
}

// EASEAllowed says why EASE will be left out, or nothing where it will not be.
func (l *Learning) EASEAllowed() error { return l.Limits.Allow(l.Items, l.solutions()) }

// solutions is how many times EASE is solved: for each lambda, and once more for the test.
func (l *Learning) solutions() int {
	if len(l.Validation) == 0 {
		return 1
	}
	return len(easeLambdas) + 1
}

// EASE is that baseline with the lambda that did best, or an error that says why it cannot be had. Each Gram matrix is counted once.
func (l *Learning) EASE(ctx context.Context) (*EASE, Chosen, error) {
	if err := l.EASEAllowed(); err != nil {
		return nil, Chosen{}, err
	}
	t := newTrial[lambda](ctx, l, new(EASE).Name())
	g, e := newGram(l.Items), &EASE{items: l.Items, weights: make([]float32, l.Items*l.Items)}
	counted := false
	for _, value := range easeLambdas {
		t.try(value, func() (Scorer, error) {
			if !counted {
				counted = true
				if err := g.count(l.Train.Rows); err != nil {
					return nil, err
				}
			}
			return e, g.solve(ctx, e.weights, float64(value))
		})
	}
	if t.err == nil {
		t.err = g.count(l.Known.Rows)
	}
	if t.err == nil {
		t.err = g.solve(ctx, e.weights, float64(t.best))
	}
	if t.err != nil {
		return nil, Chosen{}, fmt.Errorf("solving EASE: %w", t.err)
	}
	return e, t.chosen("a linear model of all items by all items"), nil
}

// lambda is how EASE is set.
type lambda float64

func (l lambda) String() string { return fmt.Sprintf("lambda %g", float64(l)) }

// trial tries the settings of one baseline, until the first error, which it keeps.
type trial[S fmt.Stringer] struct {
	ctx    context.Context //nolint:containedctx // a trial is one call
	l      *Learning
	scorer string
	cases  []dataset.Case
	best   S
	most   float64
	tried  []Tried
	err    error
}

func newTrial[S fmt.Stringer](ctx context.Context, l *Learning, scorer string) *trial[S] {
	return &trial[S]{ctx: ctx, l: l, scorer: scorer, cases: l.drawn(), most: -1}
}

// drawn are at most MostValidation of the validation cases, in their order.
func (l *Learning) drawn() []dataset.Case {
	if len(l.Validation) <= MostValidation {
		return l.Validation
	}
	places := rand.New(rand.NewPCG(l.Seed, 2)).Perm(len(l.Validation))[:MostValidation]
	slices.Sort(places)
	cases := make([]dataset.Case, len(places))
	for i, place := range places {
		cases[i] = l.Validation[place]
	}
	return cases
}

// try asks the validation cases of a setting. Of equally good ones the first is best; without cases, the first of all.
func (t *trial[S]) try(setting S, learn func() (Scorer, error)) {
	if t.err != nil {
		return
	}
	if t.most < 0 {
		t.best, t.most = setting, 0
	}
	if len(t.cases) == 0 {
		return
	}
	if t.l.Progress != nil {
		t.l.Progress(t.scorer, setting.String())
	}
	s, err := learn()
	if err != nil {
		t.err = err
		return
	}
	c := Config{K: chosenAt, IncludeSeen: t.l.IncludeSeen}
	r, err := Evaluate(t.ctx, t.cases, Catalogue{Items: t.l.Items}, []Scorer{s}, c)
	if err != nil {
		t.err = fmt.Errorf("choosing the setting of %s: %w", t.scorer, err)
		return
	}
	ndcg := r.Scorers[0].NDCG.Mean
	t.tried = append(t.tried, Tried{setting.String(), ndcg})
	if ndcg > t.most {
		t.best, t.most = setting, ndcg
	}
}

func (t *trial[S]) chosen(about string) Chosen {
	return Chosen{
		Scorer: t.scorer, Setting: t.best.String(), About: about, Cases: len(t.cases), Of: len(t.l.Validation), Tried: t.tried,
	}
}

// String is the choice in a sentence.
func (c *Chosen) String() string {
	how := "not chosen, for there are no validation cases"
	if c.Cases > 0 {
		best := slices.MaxFunc(c.Tried, func(a, b Tried) int { return cmp.Compare(a.NDCG, b.NDCG) })
		on := fmt.Sprintf("%d validation cases", c.Cases)
		if c.Of > c.Cases {
			on = fmt.Sprintf("%d of %d validation cases, drawn by lot", c.Cases, c.Of)
		}
		how = fmt.Sprintf("best of %d settings on %s, NDCG@%d %.4f", len(c.Tried), on, chosenAt, best.NDCG)
	}
	return fmt.Sprintf("%s: %s (%s); %s", c.Scorer, c.Setting, how, c.About)
}
