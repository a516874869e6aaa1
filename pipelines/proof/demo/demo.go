package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/services/towers"
)

// Options says which world the story plays in.
type Options struct {
	// MovieLens is the folder of a MovieLens data set; empty makes the World up.
	MovieLens string
	World     dataset.SyntheticConfig
	// TrainingBudget bounds the training of the towers. Two free cores need 10 to 20 s; a busy machine gets as much of it as fits.
	TrainingBudget time.Duration
	// Exit ends the demo with the story instead of leaving the system running.
	Exit bool
	// Progress gets the bars of long steps; nil where nobody watches.
	Progress io.Writer
}

// DefaultOptions make up a world and keep the demo under a minute on two cores.
func DefaultOptions() Options {
	return Options{World: dataset.DefaultSyntheticConfig(), TrainingBudget: 30 * time.Second}
}

// Demo is one run.
type Demo struct {
	console
	measures
	options  Options
	log      *slog.Logger
	folder   string // of this run: bundle and configuration
	settings settings.Settings

	world     *world
	stack     *embedded.Stack
	tower     *towers.UserTower
	serving   *process // the roles catalogue and recommendations
	worker    *process // the role interactions
	publisher *producers.EventPublisher
	client    *producers.RecommendationClient
}

// Run tells the story on out. The error names the claims that did not hold.
func Run(ctx context.Context, options Options, out io.Writer, log *slog.Logger) (err error) {
	folder, err := os.MkdirTemp("", "freshet-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	d := &Demo{
		console: console{out: out, progress: options.Progress, begin: time.Now()},
		options: options, log: log, folder: folder,
	}
	defer func() { err = errors.Join(err, d.close(), os.RemoveAll(folder)) }()
	if err := d.prepare(ctx); err != nil {
		return err
	}
	for number, step := range story {
		d.heading(number+1, step.title)
		limited, cancel := context.WithTimeout(ctx, stepTimeout)
		err := step.tell(d, limited)
		cancel()
		if err != nil {
			return fmt.Errorf("step %d (%s): %w", number+1, step.title, err)
		}
	}
	if err := d.measureLoad(ctx); err != nil {
		return err
	}
	d.summary()
	if len(d.failed) > 0 {
		return fmt.Errorf("%d of %d checks did not hold: %q", len(d.failed), d.passed+len(d.failed), d.failed)
	}
	if !options.Exit {
		return d.linger(ctx)
	}
	return nil
}

// stepTimeout bounds a step of the story, each of which takes some seconds at the most, and stageTimeout a part of the
// preparation: whatever goes wrong ends the demo with an error and not with a wait.
const (
	stepTimeout  = 30 * time.Second
	stageTimeout = 5 * time.Minute
)

// story is the demo, step by step.
var story = []struct {
	title string
	tell  func(*Demo, context.Context) error
}{
	{"A user's recommendations", (*Demo).tellRecommendations},
	{"A change of taste", (*Demo).tellChangeOfTaste},
	{"A new item, and one taken down", (*Demo).tellCatalogue},
	{"Business rules at work", (*Demo).tellRules},
	{"Poison", (*Demo).tellPoison},
	{"Twice published, once killed, counted once", (*Demo).tellExactlyOnce},
	{"A search with a typo", (*Demo).tellSearch},
	{"Offline quality, all items ranked", (*Demo).tellQuality},
}

// linger keeps the system running for a second terminal.
func (d *Demo) linger(ctx context.Context) error {
	path := filepath.Join(d.folder, "freshet.yaml")
	text, err := d.settings.YAML()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("writing the configuration for a second terminal: %w", err)
	}
	user := d.world.data.Users[d.world.hero].ID
	d.printf("\nEverything keeps running until Ctrl-C. Try in a second terminal:\n")
	d.printf("   export FRESHET_CONFIG=%s\n", path)
	d.printf("   go run . recommend %s --explain\n", user)
	d.printf("   go run . inspect user %s\n", user)
	d.printf("   go run . deadletters list interactions\n")
	select {
	case <-ctx.Done():
		d.printf("\nStopping.\n")
		return nil
	case <-d.serving.ended:
		return fmt.Errorf("catalogue and recommendations stopped by themselves: %w", d.serving.err)
	case <-d.worker.ended:
		return fmt.Errorf("interactions stopped by itself: %w", d.worker.err)
	}
}

// close stops what runs, clients first.
func (d *Demo) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	var errs []error
	if d.client != nil {
		errs = append(errs, d.client.Close(ctx))
	}
	if d.publisher != nil {
		errs = append(errs, d.publisher.Close(ctx))
	}
	errs = append(errs, d.worker.stop(), d.serving.stop())
	if d.stack != nil {
		d.stack.Close()
	}
	return errors.Join(errs...)
}

const closeTimeout = 20 * time.Second
