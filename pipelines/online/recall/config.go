package recall

import (
	"fmt"
	"slices"
	"time"
)

// Config has the settings of the role recall.
type Config struct {
	// Period is the length of a window, of which each gets rows of its own. Windows begin at
	// whole multiples of it, such as full minutes.
	Period time.Duration `yaml:"period" env:"PERIOD"`
	// Delay is how long after its end a window is counted, for records that are on their way.
	Delay time.Duration `yaml:"delay" env:"DELAY"`
	// Backlog is how far back the first start of a model reports. Replies are kept for an hour (topics.replies.retention): windows
	// before that know no pages.
	Backlog time.Duration `yaml:"backlog" env:"BACKLOG"`
	// At lists the k of recall@k, ascending.
	At []int `yaml:"at" env:"AT"`
	// SampleShare is the share of the users that is looked at, above 0 and up to 1; the same users each time.
	SampleShare float64 `yaml:"sample_share" env:"SAMPLE_SHARE"`
	// MaxUsers bounds the users that are held in memory, some 12 KB each. Beyond it the share is halved.
	MaxUsers int `yaml:"max_users" env:"MAX_USERS"`
	// NewUserEvents is how many events a user has at least who is not new.
	NewUserEvents int `yaml:"new_user_events" env:"NEW_USER_EVENTS"`
}

// DefaultConfig looks at a tenth of the users, every minute.
func DefaultConfig() Config {
	return Config{
		Period: time.Minute, Delay: 5 * time.Second, Backlog: time.Hour, At: []int{10, 50, 100},
		SampleShare: .1, MaxUsers: 10_000, NewUserEvents: 5,
	}
}

// maxK bounds what is kept of a page.
const maxK = 1000

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	switch {
	case c.Period < time.Second || c.Period%time.Second != 0:
		return fmt.Errorf("period is %v: give whole seconds, at least 1s", c.Period)
	case c.Delay < 0:
		return fmt.Errorf("delay is %v: give 0s or more", c.Delay)
	case c.Backlog < 0:
		return fmt.Errorf("backlog is %v: give 0s or more", c.Backlog)
	case len(c.At) == 0 || c.At[0] < 1 || c.At[len(c.At)-1] > maxK || !slices.IsSorted(c.At),
		len(slices.Compact(slices.Clone(c.At))) < len(c.At):
		return fmt.Errorf("at is %v: give different numbers from 1 to %d, ascending", c.At, maxK)
	case !(c.SampleShare > 0 && c.SampleShare <= 1):
		return fmt.Errorf("sample_share is %v: give a number above 0 and up to 1", c.SampleShare)
	case c.MaxUsers < 1:
		return fmt.Errorf("max_users is %d: give at least 1", c.MaxUsers)
	case c.NewUserEvents < 0:
		return fmt.Errorf("new_user_events is %d: give 0 or more", c.NewUserEvents)
	}
	return nil
}
