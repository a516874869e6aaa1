package erasure

import (
	"time"

	"github.com/freshet/freshet/schemas"
)

// State is what became of the user in one place.
type State string

// The states.
const (
	Gone    State = "gone"    // looked at: nothing of the user is there
	Left    State = "left"    // something is there, until the row's time
	Unknown State = "unknown" // it could not be looked at, or not yet
)

// Row is one place.
type Row struct {
	Where string `json:"where"`
	State State  `json:"state"`
	// Found is what is there, or why it could not be looked at.
	Found string `json:"found"`
	// Until is when it goes by itself at the latest; nil where it is gone, or stays.
	Until *time.Time `json:"until,omitempty"`
	// Remedy is what somebody has to do; empty where nothing is to be done.
	Remedy string `json:"remedy,omitempty"`
}

// Report is what an erasure came to.
type Report struct {
	User string `json:"user_id"`
	// Tombstone is where the last tombstone lies; there are several where events came in its way.
	Tombstone  schemas.Position `json:"tombstone"`
	Tombstones int              `json:"tombstones"`
	// Confirmed says that the role has applied it and that nothing of what was before is left in Redis.
	Confirmed bool          `json:"confirmed"`
	Took      time.Duration `json:"-"`
	Rows      []Row         `json:"rows"`
}

func (r *Report) add(row Row) { r.Rows = append(r.Rows, row) }
