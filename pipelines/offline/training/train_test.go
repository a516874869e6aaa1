package training

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cycles is a world with an order to learn: each user walks around one of the rings of ten items.
func cycles(users int) Input {
	in := Input{}
	for i := range 40 {
		in.Items = append(in.Items, towers.ItemFeatures{ItemID: fmt.Sprint("i", i), Categories: []string{fmt.Sprint("ring", i/10)}})
	}
	for u := range users {
		ring, seq := u%4, []int32(nil)
		for j := range 4 + u%6 {
			seq = append(seq, int32(10*ring+(u+j)%10))
		}
		in.Sequences = append(in.Sequences, seq)
	}
	return in
}

func quickConfig() Config {
	cfg := DefaultConfig()
	cfg.Dim, cfg.Epochs, cfg.BatchSequences, cfg.Workers, cfg.ValidationUsers = 16, 12, 16, 2, 40
	return cfg
}

func TestTrainLearnsAnOrder(t *testing.T) {
	for name, full := range map[string]int{"full softmax": 1000, "sampled softmax": 0} {
		t.Run(name, func(t *testing.T) {
			cfg := quickConfig()
			cfg.FullSoftmaxMaxItems, cfg.Negatives = full, 20
			cfg.Epochs = 25
			in := cycles(600)
			model, result, err := Train(t.Context(), in, cfg, nil)
			require.NoError(t, err)
			require.Equal(t, 40, result.Cases)
			require.Greater(t, result.NDCG, 0.8, "%v", result)
			require.Contains(t, result.Objective, name)
			scores := make([]float32, 40)
			model.Score([]int32{22, 23, 24}, scores)
			best := 0
			for i, s := range scores {
				if s > scores[best] {
					best = i
				}
			}
			require.Equal(t, 25, best)
		})
	}
}

// TestTrainIsDeterministic: the same seed and workers give the same bits.
func TestTrainIsDeterministic(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs, cfg.FullSoftmaxMaxItems, cfg.Negatives = 2, 0, 20
	train := func(workers int) *Model {
		cfg.Workers = workers
		m, _, err := Train(t.Context(), cycles(100), cfg, nil)
		require.NoError(t, err)
		return m
	}
	one, again := train(3), train(3)
	require.Equal(t, one.heads[0].Flat, again.heads[0].Flat)
	require.Equal(t, one.vectors, again.vectors)
}

// TestForwardEqualsServer takes a trained model through its bundle and compares every position of every sequence.
func TestForwardEqualsServer(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs = 2
	in := smallWorld(60, 30, 3)
	model, _, err := TrainWith(t.Context(), in, cfg, Options{Commit: "c0ffee"})
	require.NoError(t, err)
	dir := t.TempDir() + "/bundle"
	manifest, err := model.WriteBundle(towers.Place{Dir: dir})
	require.NoError(t, err)
	require.Equal(t, 60, manifest.Data.Users)
	require.Contains(t, manifest.Metrics, "validation_recall_at_10")
	require.Equal(t, []schemas.InteractionType{schemas.View, schemas.Dislike, schemas.Purchase}, manifest.Features.EventKinds)
	require.Equal(t, towers.Gaps, manifest.Features.EventGaps)
	require.Equal(t, "c0ffee", manifest.Commit)
	require.Empty(t, manifest.From)
	var recipe Config
	require.NoError(t, yaml.Unmarshal(manifest.Recipe, &recipe), "JSON is YAML: a bundle's recipe can be a configuration again")
	require.Equal(t, cfg, recipe)

	items, err := towers.LoadItemTower(dir)
	require.NoError(t, err)
	users, err := towers.LoadUserTower(dir)
	require.NoError(t, err)
	vector := make([]float32, cfg.Dim)
	for i := range in.Items {
		items.Encode(vector, &in.Items[i])
		require.Equal(t, model.Vector(int32(i)), vector, "item %d", i)
	}

	p := &pack{offsets: []int32{0}}
	for _, seq := range in.events(users.Inputs()) {
		p.read(seq, func(item int32) int32 { return item })
	}
	trained := newBody(model.heads[0], newDropout(0)).forward(p, model.vectors)
	embedding, row := make([]float32, cfg.Dim), 0
	for u, seq := range in.Sequences {
		var state towers.State
		for i, item := range seq {
			users.Follow(&state, embedding, []towers.Act{{Item: model.Vector(item), Kind: in.Kinds[u][i], At: in.Times[u][i]}})
			require.InDeltaSlice(t, trained[row*cfg.Dim:(row+1)*cfg.Dim], embedding, 1e-5)
			row++
		}
	}
}

func TestTrainStopsForTheCaller(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs = 1000
	ctx, cancel := context.WithCancel(t.Context())
	model, result, err := Train(ctx, cycles(300), cfg, func(p Progress) {
		if p.EpochDone && p.Epoch == 3 {
			cancel()
		}
	})
	require.NoError(t, err)
	require.NotNil(t, model)
	require.Equal(t, StopCaller, result.Stop)
	require.LessOrEqual(t, result.BestEpoch, 3)

	_, _, err = Train(ctx, cycles(300), cfg, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestTrainStopsByPatienceAndBudget(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs, cfg.Patience = 1000, 1
	_, result, err := Train(t.Context(), cycles(100), cfg, nil)
	require.NoError(t, err)
	require.Equal(t, StopPatience, result.Stop)
	require.Less(t, result.BestEpoch, result.Epochs)

	cfg.TimeBudget, cfg.Patience = 50*time.Millisecond, 1000
	model, result, err := Train(t.Context(), cycles(2000), cfg, nil)
	require.NoError(t, err)
	require.NotNil(t, model)
	require.Equal(t, StopBudget, result.Stop)
}

func TestTrainWithoutValidation(t *testing.T) {
	cfg := quickConfig()
	cfg.ValidationUsers, cfg.Epochs = 0, 2
	model, result, err := Train(t.Context(), cycles(50), cfg, nil)
	require.NoError(t, err)
	require.Equal(t, 2, result.BestEpoch)
	require.NotContains(t, model.metrics, "validation_recall_at_10")
}

func TestTrainRefuses(t *testing.T) {
	cases := map[string]struct {
		edit func(*Input, *Config)
		says string
	}{
		"no events":        {func(in *Input, _ *Config) { in.Sequences = nil }, "nothing to learn"},
		"unknown item":     {func(in *Input, _ *Config) { in.Sequences[0][1] = 400 }, "sequence 0 names item 400 at position 1"},
		"negative item":    {func(in *Input, _ *Config) { in.Validation = []Case{{Target: -1}} }, "validation case 0"},
		"only repeats":     {func(in *Input, _ *Config) { in.Sequences = [][]int32{{1, 1, 1}} }, "two different items"},
		"times for others": {func(in *Input, _ *Config) { in.Times = make([][]int64, 3) }, "times of 3"},
		"a time missing":   {func(in *Input, _ *Config) { in.Times = make([][]int64, len(in.Sequences)) }, "0 times"},
		"bad setting":      {func(_ *Input, cfg *Config) { cfg.Dropout = 1 }, "dropout is 1"},
		"bad vocabulary":   {func(_ *Input, cfg *Config) { cfg.Vocabulary.MinItems = 0 }, "min_items is 0"},
		"negative budget":  {func(_ *Input, cfg *Config) { cfg.TimeBudget = -1 }, "time_budget"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			in, cfg := cycles(10), quickConfig()
			c.edit(&in, &cfg)
			_, _, err := Train(t.Context(), in, cfg, nil)
			require.ErrorContains(t, err, c.says)
		})
	}
	require.NoError(t, DefaultConfig().Validate())
}

func TestFromDataset(t *testing.T) {
	in := FromDataset(&dataset.Dataset{
		Items: []schemas.ItemChange{{ItemID: "a", Title: "A"}, {ItemID: "b"}},
		Users: []dataset.User{{ID: "u1"}, {ID: "u2"}},
		Events: []dataset.Event{
			{At: 1000, User: 0, Item: 1, Type: schemas.Impression},
			{At: 3000, User: 0, Item: 0, Type: schemas.View},
			{At: 5000, User: 0, Item: 1, Type: schemas.Click},
			{At: 9000, User: 1, Item: 0, Type: schemas.Purchase},
			{At: 20000, User: 0, Item: 1, Type: schemas.Hide},
		},
		Searches: []dataset.Search{{At: 5000, Text: "tea", Item: 1}},
	})
	require.Equal(t, []Search{{"tea", 1}}, in.Searches)
	require.Equal(t, []towers.ItemFeatures{{ItemID: "a", Title: "A"}, {ItemID: "b"}}, in.Items)
	require.Equal(t, [][]int32{{0, 1, 1}, {0}}, in.Sequences, "impressions are nobody's doing")
	require.Equal(t, [][]schemas.InteractionType{{schemas.View, schemas.Click, schemas.Hide}, {schemas.Purchase}}, in.Kinds)
	require.Equal(t, [][]int64{{3000, 5000, 20000}, {9000}}, in.Times)
	require.Equal(t, time.Unix(1, 0).UTC(), in.Data.From)
	require.Equal(t, time.Unix(20, 0).UTC(), in.Data.To)
}

func users(n int) *Config { return &Config{ValidationUsers: n} }

func TestSplitHoldsOutTheLastNewItem(t *testing.T) {
	alone := towers.Inputs{}
	in := Input{Sequences: [][]int32{{1, 2, 3, 3}, {1, 2}, {1, 1, 1}, {4, 5, 6}, {7, 8, 9}, {1, 2, 3}, {4, 5, 6}}}
	train, cases := in.split(users(10), alone)
	require.Equal(t, []heldOut{{sequence(1, 2), 3}, {sequence(4, 5), 6}, {sequence(1, 2), 3}}, cases, "every other who has three events")
	require.Equal(t, [][]event{
		sequence(1, 2), sequence(1, 2), sequence(1, 1, 1), sequence(4, 5), sequence(7, 8, 9), sequence(1, 2), sequence(4, 5, 6),
	}, train)

	_, cases = in.split(users(0), alone)
	require.Empty(t, cases)

	in.HoldOutAfter = time.UnixMilli(50)
	_, cases = in.split(users(10), alone)
	require.Len(t, cases, 3, "without times all are late")
	in.Times = [][]int64{{1, 2, 40, 60}, {60, 61}, {60, 61, 62}, {1, 2, 51}, {1, 2, 50}, {1, 2, 70}, {1, 2, 80}}
	_, cases = in.split(users(10), alone)
	require.Len(t, cases, 1, "one of three; the first's last new item is early")
	require.Equal(t, int32(6), cases[0].target)
	in.Validation = []Case{{History: []int32{3}, Target: 1}}
	train, cases = in.split(users(10), alone)
	require.Equal(t, in.events(alone), train)
	require.Equal(t, []heldOut{{sequence(3), 1}}, cases)
}

func TestSplitHoldsOutTheLastChange(t *testing.T) {
	cfg := &Config{ValidationUsers: 10, Repeats: true}
	in := Input{Sequences: [][]int32{{1, 2, 1, 1}, {1, 2, 1}, {3, 3, 3}, {4, 5, 4}}}
	train, cases := in.split(cfg, towers.Inputs{})
	require.Equal(t, []heldOut{{sequence(1, 2), 1}}, cases, "who has one item alone is asked nothing")
	require.Equal(t, [][]event{sequence(1, 2), sequence(1, 2, 1), sequence(3, 3, 3), sequence(4, 5, 4)}, train)

	in.HoldOutAfter = time.UnixMilli(50)
	in.Times = [][]int64{{1, 2, 40, 60}, {1, 2, 51}, {60, 61, 62}, {1, 2, 70}}
	_, cases = in.split(cfg, towers.Inputs{})
	require.Equal(t, []heldOut{{history: in.events(towers.Inputs{})[1][:2], target: 1}}, cases, "the choice of the first begins too early")
}

// TestLate: what a tower does not read counts for nothing.
func TestLate(t *testing.T) {
	view, hide := schemas.View, schemas.Hide
	in := Input{
		Sequences:    [][]int32{{1, 2, 3, 4, 3}},
		Kinds:        [][]schemas.InteractionType{{view, hide, view, hide, view}},
		Times:        [][]int64{{10, 20, 30, 40, 50}},
		HoldOutAfter: time.UnixMilli(29),
	}
	for _, reads := range []towers.Inputs{{}, {Kinds: []schemas.InteractionType{view, hide}}} {
		seq := in.events(reads)[0]
		for after, want := range map[int64]bool{29: true, 30: false} {
			in.HoldOutAfter = time.UnixMilli(after)
			require.Equal(t, want, in.late(0, seq, lastNew, reads), "%v %d", reads, after)
			require.Equal(t, want, in.late(0, seq, lastChange, reads), "%v %d", reads, after)
		}
	}
}

func TestPositionsThatAreLearnt(t *testing.T) {
	kinds := []schemas.InteractionType{schemas.View, schemas.View, schemas.Hide, schemas.View, schemas.View, schemas.View}
	in := Input{Sequences: [][]int32{{1, 1, 2, 1, 2, 1}}, Kinds: [][]schemas.InteractionType{kinds}}
	for name, c := range map[string]struct {
		repeats, oneChoice bool
		aside              []bool
	}{
		"new items alone":     {false, true, []bool{false, true, true, true, true, true}},
		"changes of the item": {true, true, []bool{false, true, true, true, false, false}},
		"whatever comes next": {true, false, []bool{false, false, true, false, false, false}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Repeats, cfg.MinItemEvents = c.repeats, 1
			sequences := in.events(towers.Inputs{Kinds: []schemas.InteractionType{schemas.View, schemas.Hide}})
			table := newItemTable(make([]towers.ItemFeatures, 3), sequences, &cfg)
			_, err := prepare(sequences, table, &cfg, c.oneChoice)
			if name == "new items alone" { // the hide came before the first view of the second item
				require.Error(t, err)
			} else {
				require.NoError(t, err)
			}
			for i, e := range sequences[0] {
				require.Equal(t, c.aside[i], e.aside, "event %d", i)
			}
		})
	}
}

// TestParts: each event becomes one thing, and the manifest counts those that are learnt.
func TestParts(t *testing.T) {
	in := smallWorld(60, 30, 3)
	for i := range in.Items { // nothing is known of them but their ids
		in.Items[i] = towers.ItemFeatures{ItemID: in.Items[i].ItemID}
	}
	for _, repeats := range []bool{false, true} {
		for _, use := range []Use{Auto, Never} {
			cfg := quickConfig()
			cfg.Epochs, cfg.EventKinds, cfg.Repeats, cfg.ValidationUsers, cfg.MinItemEvents = 1, use, repeats, 20, 12
			var told []Parts
			model, result, err := TrainWith(t.Context(), in, cfg, Options{Parted: func(p Parts) { told = append(told, p) }})
			require.NoError(t, err)
			require.Len(t, told, 1)
			p := told[0]
			require.Equal(t, count(in.events(towers.Inputs{Kinds: in.kindsSeen()})), p.Given)
			require.Equal(t, p.Given, p.Learnt+p.Validation+p.TurnedDown+p.Unknown)
			require.Equal(t, model.data.Events, p.Learnt)
			require.Equal(t, 20, result.Cases)
			require.GreaterOrEqual(t, p.Validation, 20)
			require.Positive(t, p.Unknown)
			require.Equal(t, use == Never, p.TurnedDown > 0)
		}
	}
}

func TestPrinterPrintsLines(t *testing.T) {
	var b bytes.Buffer
	p := NewPrinter(&b)
	at := Progress{
		Objective: "full softmax over 9 items", Epoch: 1, Epochs: 2, Loss: 3.25, Throughput: 12_345, Left: 3 * time.Second,
	}
	p.Print(at)
	at.EpochDone, at.Validated, at.Recall, at.NDCG, at.BestEpoch = true, true, 0.25, 0.125, 1
	p.Print(at)
	require.Equal(t, "training by full softmax over 9 items\n"+
		"epoch 1/2  loss 3.250  recall@10 0.2500  ndcg@10 0.1250 (epoch 1)  12k examples/s  3s left\n", b.String())

	b.Reset()
	p = &Printer{w: &b, terminal: true}
	at.Done = 0.5
	p.Print(at)
	at.Done, at.Last, at.Left = 1, true, 0
	p.Print(at)
	require.Contains(t, b.String(), "\r██████████░░░░░░░░░░  50%  epoch 1/2")
	require.Contains(t, b.String(), "100%")
	require.True(t, bytes.HasSuffix(b.Bytes(), []byte("\n")))
}

func TestTrainReportsProgress(t *testing.T) {
	var ends []int
	last := Progress{}
	cfg := quickConfig()
	cfg.Epochs = 3
	_, _, err := Train(t.Context(), cycles(100), cfg, func(p Progress) {
		if p.EpochDone {
			ends = append(ends, p.Epoch)
		}
		require.GreaterOrEqual(t, p.Done, last.Done)
		last = p
	})
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3}, ends)
	require.True(t, last.Last)
	require.InDelta(t, 1, last.Done, 1e-9)
	require.True(t, last.Validated)
	require.NotErrorIs(t, err, context.Canceled)
}

func TestHeads(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs, cfg.Heads = 3, 2
	in := cycles(200)
	var ends []int
	model, result, err := Train(t.Context(), in, cfg, func(p Progress) {
		require.Equal(t, 2, p.Heads)
		if p.EpochDone {
			ends = append(ends, p.Head)
		}
	})
	require.NoError(t, err)
	require.Equal(t, []int{1, 1, 1, 2, 2, 2}, ends)
	require.Len(t, result.Heads, 2)
	require.NotEqual(t, result.Heads[0].Loss, result.Heads[1].Loss, "each head has a seed of its own")
	require.Equal(t, 2*cfg.Dim, model.Dim())

	alone := cfg
	alone.Heads = 1
	first, _, err := Train(t.Context(), in, alone, nil)
	require.NoError(t, err)
	for i := range in.Items {
		require.Equal(t, first.Vector(int32(i)), model.Vector(int32(i))[:cfg.Dim], "the first head is the tower of one")
	}

	// The score is the mean of the heads'.
	alone.Seed += seedStep
	second, _, err := Train(t.Context(), in, alone, nil)
	require.NoError(t, err)
	n := len(in.Items)
	scores, a, b := make([]float32, n), make([]float32, n), make([]float32, n)
	history := in.Sequences[3][:2]
	model.Score(history, scores)
	first.Score(history, a)
	second.Score(history, b)
	for i := range scores {
		require.InDelta(t, (a[i]+b[i])/2, scores[i], 1e-4)
	}

	dir := t.TempDir() + "/bundle"
	manifest, err := model.WriteBundle(towers.Place{Dir: dir})
	require.NoError(t, err)
	require.Equal(t, 2, manifest.Heads)
	_, err = towers.LoadUserTower(dir)
	require.NoError(t, err)
}

func TestHeadCutShortIsLeftOut(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs, cfg.Heads = 3, 3
	ctx, cancel := context.WithCancel(t.Context())
	lasts := 0
	model, result, err := Train(ctx, cycles(200), cfg, func(p Progress) {
		if p.Head == 2 && p.EpochDone {
			cancel()
		}
		if p.Last {
			lasts++
		}
	})
	require.NoError(t, err)
	require.Equal(t, StopCaller, result.Stop)
	require.Len(t, result.Heads, 1)
	require.Equal(t, cfg.Dim, model.Dim())
	require.Equal(t, 1, lasts)
}
