package tuning

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Write writes trials.csv, trials.svg and, once a trial is done, best.yaml into the folder.
func (o *Outcome) Write(folder string) error {
	table, err := o.csv()
	if err != nil {
		return fmt.Errorf("writing the trials: %w", err)
	}
	err = errors.Join(write(folder, "trials.csv", table), write(folder, "trials.svg", o.SVG()))
	if len(o.Trials) > 0 {
		best, bestErr := o.bestYAML()
		err = errors.Join(err, bestErr, write(folder, "best.yaml", best))
	}
	if err != nil {
		return fmt.Errorf("writing the trials: %w", err)
	}
	return nil
}

func write(folder, name string, content []byte) error {
	return os.WriteFile(filepath.Join(folder, name), content, 0o644) //nolint:gosec // no secret
}

func (o *Outcome) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	head := append([]string{"trial", "epochs"}, o.Names...)
	_ = w.Write(append(head, "recall_at_10", "ndcg_at_10", "ndcg", "loss", "diverged", "best_epoch", "weights", "seconds"))
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, t := range o.Trials {
		row := []string{strconv.Itoa(t.Number), strconv.Itoa(t.Epochs)}
		for _, name := range o.Names {
			row = append(row, number(t.Values[name]))
		}
		_ = w.Write(append(row, number(t.Recall), number(t.NDCG), number(t.WholeNDCG), number(t.Loss), strconv.FormatBool(t.Diverged),
			strconv.Itoa(t.BestEpoch), strconv.Itoa(t.Weights), strconv.FormatFloat(t.Seconds, 'f', 1, 64)))
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// bestYAML is the best trial's recipe as a configuration file.
func (o *Outcome) bestYAML() ([]byte, error) {
	best := o.Trials[0]
	config, err := best.Values.apply(o.base)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Trial %d of freshet tune, seed %d: NDCG@10 %.4f and recall@10 %.4f on validation after %d epochs.\n",
		best.Number, o.seed, best.NDCG, best.Recall, best.Epochs)
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(map[string]any{"training": config}), e.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
