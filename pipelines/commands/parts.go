package commands

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/training"
	"github.com/freshet/freshet/services/terminal"
)

// parts tells what becomes of all events that were read: nothing is held back in silence.
type parts struct {
	read  string         // begins the sentence: how many of what
	given int            // to training
	times string         // of what is given
	asked []dataset.Case // what the last choices are, where these are held back
	held  []part
}

// part is a number of events and what becomes of them.
type part struct {
	events int
	what   string
}

// partsOf is for a data set that was split here.
func (d *data) partsOf(h *dataset.HoldOut, in *training.Input) *parts {
	p := &parts{read: fmt.Sprintf("%d events were read:", h.Parts.Read), given: given(in)}
	asked := "each user's last new item"
	switch {
	case d.Split == timeSplit && h.Repeats == dataset.AskRepeats:
		asked = "each user's first choice after the cut"
	case d.Split == timeSplit:
		asked = "each user's first new item after the cut"
	case h.Repeats == dataset.AskRepeats:
		asked = "each user's last choice"
	}
	p.held = []part{
		{h.Parts.Asked, "are held back as test targets: " + asked},
		{h.Parts.Behind, "are held back with them: what the same users did afterwards"},
		{h.Parts.Later, fmt.Sprintf("are held back because they are later than the oldest %g %% (--past)", 100*d.Past)},
		{h.Parts.Past - p.given, "are impressions and other types that do not show an interest"},
	}
	if d.Split != timeSplit {
		p.asked = h.Cases
	}
	if !in.Data.From.IsZero() {
		p.times = fmt.Sprintf(", from %s to %s", in.Data.From.Format(time.DateTime), in.Data.To.Format(time.DateTime))
	}
	return p
}

// publishedParts is for a published protocol.
func publishedParts(s *dataset.Sequences, in *training.Input) *parts {
	p := &parts{given: given(in)}
	known := 0
	for _, row := range s.Known {
		known += len(row)
	}
	p.read = fmt.Sprintf("%d events are for training by the protocol, and %d others are its test targets:", known+s.Hidden, len(s.Test))
	p.held = []part{
		{known - p.given, "are held back for validation by the protocol"},
		{s.Hidden, "are of hidden items (--cold)"},
	}
	return p
}

func given(in *training.Input) (n int) {
	for _, seq := range in.Sequences {
		n += len(seq)
	}
	return n
}

// print tells what training makes of what it is given.
func (p *parts) print(w io.Writer, of training.Parts, minEvents int) {
	p.write(w, append([]part{
		{of.Learnt, "are trained on" + p.times},
		{of.Validation, "are held back for validation: some users' last choice and what follows it (training.validation_users)"},
		{of.TurnedDown, "are negative feedback, which a tower without event types does not read"},
		{of.Unknown, fmt.Sprintf("are of items with fewer than %d events (training.min_item_events) and no description", minEvents)},
	}, p.held...))
}

// printGiven tells as much as is known before any training.
func (p *parts) printGiven(w io.Writer) {
	p.write(w, append([]part{{p.given, "are for training and validation" + p.times}}, p.held...))
}

func (p *parts) write(w io.Writer, all []part) {
	_, _ = terminal.Fprintln(w, p.read)
	width := 0
	for _, of := range all {
		width = max(width, len(strconv.Itoa(of.events)))
	}
	for i, of := range all {
		if of.events > 0 || i == 0 {
			_, _ = terminal.Fprintf(w, "  %*d %s\n", width, of.events, of.what)
		}
	}
}
