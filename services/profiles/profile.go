package profiles

import (
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// Profile is what is known of one user.
type Profile struct {
	UserID string
	// History is newest first, without impressions.
	History []Entry
	// Embedding and State are those of the model that was asked for; nil where the profile has none, or none that is
	// current: the history is then to be encoded.
	Embedding []float32
	State     *towers.State
	// Watermarks are the last offsets applied, by partition.
	Watermarks map[int32]int64
	// UpdatedAt is the broker's time of the newest event applied.
	UpdatedAt time.Time
	Counters  Counters
	// Err is why the stored profile could not be read; there is nothing else in the Profile then.
	Err error

	last      *schemas.Position
	seen      string
	turned    turnedDown
	indexOnce sync.Once
	index     *fingerprints
}

// LastApplied is the position of the event that was applied last; nil where none was.
func (p *Profile) LastApplied() *schemas.Position { return p.last }

func seenFingerprint(itemID string) uint32 { return uint32(xxhash.Sum64String(itemID)) }

// HasSeen tells whether the user ever interacted with an item, impressions left out. For an item that was not seen the
// answer is wrong with a probability of SeenCount in 2^32.
func (p *Profile) HasSeen(itemID string) bool {
	return p.seenIndex().has(seenFingerprint(itemID))
}

// SeenCount is how many fingerprints the set of seen items has.
func (p *Profile) SeenCount() int { return p.seenIndex().count }

func (p *Profile) seenIndex() *fingerprints {
	p.indexOnce.Do(func() {
		ids := unpackIDs(p.seen)
		p.index = newFingerprints(len(ids))
		for _, id := range ids {
			p.index.add(id)
		}
	})
	return p.index
}
