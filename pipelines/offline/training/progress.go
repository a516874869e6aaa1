package training

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/freshet/freshet/services/terminal"
)

// reportEvery is the least time between two reports within an epoch.
const reportEvery = 200 * time.Millisecond

// Progress is how far training is.
type Progress struct {
	Objective string
	// Head is which of Heads is trained, counted from 1.
	Head, Heads int
	// Epoch is counted from 1; Done is the share of all training that is over; EpochDone marks the report at an epoch's end,
	// after its validation.
	Epoch, Epochs int
	Done          float64
	EpochDone     bool
	// Last marks the last report of all, and Stop is why training ends there.
	Last bool
	Stop Stop
	// Loss is the mean cross-entropy of this epoch so far, in nats.
	Loss float64
	// Recall and NDCG are at 10, of the best epoch so far, BestEpoch; they say nothing before Validated.
	Validated    bool
	Recall, NDCG float64
	BestEpoch    int
	// Throughput is examples (positions learnt from) a second.
	Throughput    float64
	Elapsed, Left time.Duration
	// Query tells how far the query tower is, which is trained after the last epoch; all else is then as at the end of the others.
	Query string
}

// String is one line for people.
func (p Progress) String() string {
	if p.Query != "" {
		return p.Query
	}
	var b strings.Builder
	if p.Heads > 1 {
		_, _ = terminal.Fprintf(&b, "head %d/%d  ", p.Head, p.Heads)
	}
	if p.Epoch > 0 {
		_, _ = terminal.Fprintf(&b, "epoch %d/%d  loss %.3f", p.Epoch, p.Epochs, p.Loss)
	} else {
		b.WriteString("before the first epoch")
	}
	if p.Validated {
		_, _ = terminal.Fprintf(&b, "  recall@10 %.4f  ndcg@10 %.4f (epoch %d)", p.Recall, p.NDCG, p.BestEpoch)
	}
	if p.Epoch > 0 {
		_, _ = terminal.Fprintf(&b, "  %s examples/s", thousands(p.Throughput))
	}
	if p.Left > 0 {
		_, _ = terminal.Fprintf(&b, "  %s left", p.Left.Round(time.Second))
	}
	return b.String()
}

func thousands(v float64) string {
	if v < 10_000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.0fk", v/1000)
}

// barCells is the width of the bar on a terminal.
const barCells = 20

// Printer shows progress to people: on a terminal one line that is written over and over, elsewhere a line at the end of each
// epoch.
type Printer struct {
	w        io.Writer
	terminal bool
	said     bool // what is trained for
	width    int  // of the line that the terminal shows
}

// NewPrinter prints to w, which may be a terminal.
func NewPrinter(w io.Writer) *Printer {
	f, ok := w.(*os.File)
	return &Printer{w: w, terminal: ok && term.IsTerminal(int(f.Fd()))}
}

// Print is the progress callback of Train.
func (p *Printer) Print(at Progress) {
	if !p.said {
		_, _ = terminal.Fprintf(p.w, "training by %s\n", at.Objective)
		p.said = true
	}
	if !p.terminal {
		if at.EpochDone || at.Last && at.Query != "" {
			_, _ = terminal.Fprintln(p.w, at)
		}
		return
	}
	full := int(at.Done*barCells + 0.5)
	line := fmt.Sprintf("%s%s %3.0f%%  %v", strings.Repeat("█", full), strings.Repeat("░", barCells-full), 100*at.Done, at)
	cells := utf8.RuneCountInString(line)
	_, _ = terminal.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.width-cells)))
	p.width = cells
	if at.Last {
		_, _ = terminal.Fprintln(p.w)
	}
}
