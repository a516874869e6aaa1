package description

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Mark is something about a data set that people should know before they believe a figure on it.
type Mark struct {
	// Red marks are reasons not to train.
	Red bool `json:"red"`
	// What is so, and what to do about it.
	What   string `json:"what"`
	Remedy string `json:"remedy"`
}

// Bounds of what is marked.
const (
	enough        = 100  // events for a share of them to mean something
	mostOfOne     = 0.5  // of the events, by one user, or of the choices, of one item
	leastOverlap  = 0.05 // of the items that interactions name
	usualOverlap  = 0.9
	usualTied     = 0.05
	usualBots     = 0.01
	mostAgain     = 0.2 // of the rows
	mostOffScale  = 0.1 // of the ratings
	fewCases      = 200
	usualCold     = 0.3
	usualLearnt   = 0.5
	leastDuration = 24 * time.Hour
)

const againRemedy = "leave the column out with --columns event_id=, if it is no id of events"

const scaleRemedy = "set profiles.ratings to the scale of the data (FRESHET_PROFILES_RATINGS_LOWEST, …_HIGHEST)"

func (s *survey) mark(timed bool) {
	red := func(is bool, remedy, what string, values ...any) {
		if is {
			s.Marks = append(s.Marks, Mark{true, fmt.Sprintf(what, values...), remedy})
		}
	}
	longest, busiest := 0, 0
	for u, n := range s.lengths {
		longest, busiest = max(longest, n), max(busiest, s.events[u])
	}
	red(s.Choices == 0, "map the events that are choices with --map type.VALUE=view", "none of the %d events is a choice", s.Events)
	red(s.Choices > 0 && longest < 2, "look at the column of the user ids, and name another with --columns user_id=COLUMN",
		"no user has chosen twice: there is no next choice to learn")
	red(s.Cases == 0 && longest >= 2, "give a smaller --past, or more data", "no case is left to ask")
	red(timed && s.Events > 1 && s.From.Equal(s.To), "look at the column of the times, and name another with --columns occurred_at=COLUMN",
		"all events are of one moment, %s: nothing comes before anything else", s.From.Format(time.DateTime))
	red(timed && s.Users == 1 && s.Events > 1, "look at the column of the user ids, and name another with --columns user_id=COLUMN",
		"all events are of one user")
	red(share(s.Again, s.Again+s.Events) >= mostAgain, againRemedy,
		"%.1f %% of the rows were left out, since their event_id had come before", 100*share(s.Again, s.Again+s.Events))
	red(share(s.OffScale, s.Rated) >= mostOffScale, scaleRemedy,
		"%.1f %% of the ratings are outside of the scale by which they are judged, and count as choices", 100*share(s.OffScale, s.Rated))
	red(timed && s.Users > 1 && s.Events >= enough && share(busiest, s.Events) > mostOfOne,
		"leave that user out: it is no person, or the name of none", "one user has %.0f %% of the events", 100*share(busiest, s.Events))
	red(s.Touched > 2 && s.Choices >= enough && s.First > mostOfOne, "leave that item out, or look at the column of the item ids",
		"one item has %.0f %% of the choices: it is the answer to everything", 100*s.First)
	red(s.overlap() < leastOverlap, "name the columns that hold the same ids with --columns",
		"the table of items has %.1f %% of the items that interactions name", 100*s.overlap())
	s.warn(timed)
}

// overlap is the share of the items that interactions name which the table of items has; 1 without such a table.
func (s *survey) overlap() float64 {
	if s.Overlap == nil {
		return 1
	}
	return share(s.Overlap.Known, s.Overlap.Touched)
}

// warn marks what makes figures weaker than they look.
func (s *survey) warn(timed bool) {
	yellow := func(is bool, remedy, what string, values ...any) {
		if is {
			s.Marks = append(s.Marks, Mark{false, fmt.Sprintf(what, values...), remedy})
		}
	}
	yellow(s.overlap() < usualOverlap && s.overlap() >= leastOverlap, "take a table of items of the same time",
		"the table of items has %.1f %% of the items that interactions name; nothing is known of the others", 100*s.overlap())
	yellow(s.Again > 0 && share(s.Again, s.Again+s.Events) < mostAgain, againRemedy,
		"%d rows were left out, since their event_id had come before", s.Again)
	yellow(s.OffScale > 0 && share(s.OffScale, s.Rated) < mostOffScale, scaleRemedy,
		"ratings outside of the scale by which they are judged: %d of %d, which count as choices", s.OffScale, s.Rated)
	yellow(share(s.Tied, s.Choices) > usualTied, "take finer times, or name a column that knows the order with --columns order=COLUMN",
		"%.1f %% of the choices are of the same moment as another of the user's: their order is drawn by lot", 100*share(s.Tied, s.Choices))
	yellow(s.Bots.Share > usualBots, "leave them out before training, if they are no people",
		"users with %[2]d events or more in a day (%[1]d) have %.1[3]f %% of all events", s.Bots.Users, botEvents, 100*s.Bots.Share)
	yellow(s.Cases > 0 && s.Cases < fewCases, "take more data before models are compared",
		"%d cases are few: intervals will be wide", s.Cases)
	yellow(share(s.Cold, s.Cases) > usualCold, "a shorter time between what is learnt and what is asked, or better texts of the items",
		"%.1f %% of the cases ask for an item that nobody has chosen in what is learnt from", 100*share(s.Cold, s.Cases))
	learnt := 0
	if len(s.Parts) > 0 {
		learnt = s.Parts[0].N
	}
	yellow(s.Choices > 0 && share(learnt, s.Events) < usualLearnt, "--repeats ask, or a larger --past",
		"only %.1f %% of the events are learnt from", 100*share(learnt, s.Events))
	yellow(s.has("title")+s.has("description")+s.has("categories")+s.has("tags") == 0, "give a table of items",
		"nothing is known of the items but their ids: there will be no search, and new items stay unknown until people find them")
	yellow(timed && s.Events > 1 && !s.From.Equal(s.To) && s.To.Sub(s.From) < leastDuration, "take a longer time",
		"all events happened within %s", s.To.Sub(s.From).Round(time.Second))
}

// Refusal is nil, or says why not to train.
func (d *Description) Refusal() error {
	var red []string
	for _, m := range d.Marks {
		if m.Red {
			red = append(red, m.What+" (remedy: "+m.Remedy+")")
		}
	}
	if len(red) == 0 {
		return nil
	}
	return errors.New(strings.Join(red, "; "))
}
