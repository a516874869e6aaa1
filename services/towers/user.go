package towers

import (
	"fmt"
	"path/filepath"
	"sync"

	"github.com/freshet/freshet/schemas"
)

// UserTower follows what users do: it moves their states and makes their embeddings.
type UserTower struct {
	version string
	shape   shape
	engine  engine
	scratch sync.Pool // *scratch
}

// engine runs a user tower: the recurrence of doc.go, or a model that was trained elsewhere. What it is given fits its shape.
type engine interface {
	shape() shape
	// walk moves one user's state by events, oldest first, of which there is one at least, and overwrites the embedding.
	walk(state, embedding []float32, events []event) error
	// step moves the states of users by an event each, and overwrites their embeddings. It is not called where there is no state.
	step(states, embeddings [][]float32, events []event) error
}

// shape is what an engine takes and gives.
type shape struct {
	// state is 0 where there is none: then the newest events of a history, most at the most, are encoded whole.
	dim, state, most int
	reads            Inputs
}

// scratch is what one call lays out for its engine.
type scratch struct {
	states, embeddings [][]float32
	events             []event
}

// LoadUserTower reads the user tower of a bundle: the manifest and the tower's file, nothing else.
func LoadUserTower(dir string) (*UserTower, error) {
	m, err := LoadManifest(dir)
	if err != nil {
		return nil, err
	}
	var e engine
	if m.Engine == onnxEngine {
		e, err = m.loadForeignUsers(dir)
	} else {
		e, err = m.loadRecurrence(dir)
	}
	if err != nil {
		return nil, err
	}
	return newUserTower(m.Version, e), nil
}

func (m *Manifest) loadRecurrence(dir string) (engine, error) {
	raw, err := m.readVerified(dir, userFile)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, userFile)
	got, err := decodeTensors(path, raw)
	if err != nil {
		return nil, err
	}
	heads := make([]*UserWeights, max(m.Heads, 1))
	for k := range heads {
		heads[k] = shapeOfUserWeights(m.Dim/len(heads), m.Layers, m.Features.Inputs())
	}
	if err := sameShapes(path, got, headTensors(heads)); err != nil {
		return nil, err
	}
	for k := range heads {
		heads[k] = NewEventWeights(heads[k].Dim, m.Layers, heads[k].Reads)
	}
	for i, t := range headTensors(heads) {
		copy(t.data, got[i].data)
	}
	return newRecurrence(heads), nil
}

// NewUserTower serves heads of one shape and the same inputs, in the order in which they share the items' vectors; the caller
// leaves their weights unchanged from then on.
func NewUserTower(version string, heads ...*UserWeights) *UserTower {
	return newUserTower(version, newRecurrence(heads))
}

func newUserTower(version string, e engine) *UserTower {
	t := &UserTower{version: version, shape: e.shape(), engine: e}
	t.scratch.New = func() any { return new(scratch) }
	return t
}

// Version names the model.
func (t *UserTower) Version() string { return t.version }

// Dim is the length of an embedding and of an item's vector.
func (t *UserTower) Dim() int { return t.shape.dim }

// StateSize is how many values a state has; none where the tower encodes histories whole.
func (t *UserTower) StateSize() int { return t.shape.state }

// Fits reports whether a state can be one of this tower.
func (t *UserTower) Fits(s *State) bool { return len(s.hidden) == t.StateSize() }

// Reach is how many of a user's acts before the unread ones Follow has to see: none where the state remembers them, and as many as the
// tower takes where it encodes histories whole, each time from a new state.
func (t *UserTower) Reach() int { return max(t.shape.most-1, 0) }

// Heads gives the tower's weights, which must not be changed; none where a model of another's has them.
func (t *UserTower) Heads() []*UserWeights {
	if own, is := t.engine.(*recurrence); is {
		return own.heads
	}
	return nil
}

// Inputs is what the tower reads of an act beside the item; the caller must not change it.
func (t *UserTower) Inputs() Inputs { return t.shape.reads }

// Reads reports whether acts of this kind move the tower (see Inputs.Reads); the caller leaves the others out.
func (t *UserTower) Reads(kind schemas.InteractionType) bool { return t.shape.reads.Reads(kind) }

// Follow moves a user's state by acts, oldest first, and overwrites embedding, which is Dim long, with the user's new one. They are those
// that the state has not seen; where the tower reaches back, it is a new state, and the acts before them are among them. Of no acts
// nothing moves. It allocates nothing but a new user's state.
func (t *UserTower) Follow(s *State, embedding []float32, acts []Act) {
	t.begin(s, embedding)
	if len(acts) == 0 {
		return
	}
	c := t.scratch.Get().(*scratch)
	for i := range acts {
		c.events = append(c.events, t.read(s, &acts[i]))
	}
	t.must(t.engine.walk(s.hidden, embedding, c.events), 1)
	t.release(c)
}

// FollowBatch does for many users what Follow does for one, and gives the same bits. The three slices are aligned; no state comes twice.
func (t *UserTower) FollowBatch(states []*State, embeddings [][]float32, acts [][]Act) {
	if len(embeddings) != len(states) || len(acts) != len(states) {
		panic(fmt.Sprintf("towers: FollowBatch of %d states, %d embeddings and the acts of %d", len(states), len(embeddings), len(acts)))
	}
	for i, s := range states {
		t.begin(s, embeddings[i])
	}
	c := t.scratch.Get().(*scratch)
	for round := 0; ; round++ { // first each one's first act, then each one's second
		users, longest := 0, 0
		for i := range acts {
			if left := len(acts[i]) - round; left > 0 {
				users, longest = users+1, max(longest, left)
			}
		}
		// An engine is the faster, the more rows it has at once: of many users, or else of a long history.
		if longest > users || t.shape.state == 0 {
			for i, s := range states {
				if len(acts[i]) > round {
					t.Follow(s, embeddings[i], acts[i][round:])
				}
			}
			break
		}
		if users == 0 {
			break
		}
		for i, s := range states {
			if len(acts[i]) > round {
				c.states, c.embeddings = append(c.states, s.hidden), append(c.embeddings, embeddings[i])
				c.events = append(c.events, t.read(s, &acts[i][round]))
			}
		}
		t.must(t.engine.step(c.states, c.embeddings, c.events), users)
		c.reset()
	}
	t.release(c)
}

// begin readies a state for the acts that follow.
func (t *UserTower) begin(s *State, embedding []float32) {
	if s.hidden == nil && t.shape.state > 0 {
		s.hidden = make([]float32, t.shape.state)
	}
	if !t.Fits(s) || len(embedding) != t.Dim() {
		panic(fmt.Sprintf("towers: a state of %d and an embedding of %d values for a tower of %d and %d",
			len(s.hidden), len(embedding), t.StateSize(), t.Dim()))
	}
}

// read makes an act the engine's next event, and moves the state's clock to it.
func (t *UserTower) read(s *State, a *Act) event {
	if len(a.Item) != t.Dim() {
		panic(fmt.Sprintf("towers: an act on an item of %d values for a tower of %d", len(a.Item), t.Dim()))
	}
	return event{a.Item, a.Kind, s.clock.Tick(a.At)}
}

// must ends in a panic where a run fails: it cannot fail for what it is given, as shapes were checked and a foreign model tried on load.
// What is left is no memory, of which Go itself would panic; consumers survive a panic of a handler.
func (t *UserTower) must(err error, users int) {
	if err != nil {
		panic(fmt.Sprintf("towers: following the acts of %d users: %v", users, err))
	}
}

// release forgets the callers' states and vectors, which a pool must not keep alive.
func (t *UserTower) release(c *scratch) {
	c.reset()
	t.scratch.Put(c)
}

func (c *scratch) reset() {
	clear(c.states)
	clear(c.embeddings)
	clear(c.events)
	c.states, c.embeddings, c.events = c.states[:0], c.embeddings[:0], c.events[:0]
}
