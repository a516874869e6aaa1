package producers

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/freshet/freshet/producers/kafkaio"
)

// waiting is who waits for which reply. A correlation id is eight random bytes, which are the client's, and the number of
// the call: replies to other clients on the same partition are told apart from late ones.
type waiting struct {
	client [8]byte
	late   atomic.Int64
	// foreign also counts replies without a correlation id.
	foreign atomic.Int64

	mu     sync.Mutex
	calls  map[uint64]chan answer
	last   uint64
	closed bool
}

// answer is a reply's headers and bytes, or why there will be none.
type answer struct {
	headers []kafkaio.Header
	value   []byte
	err     error
}

// Header implements schemas.Headers.
func (a *answer) Header(name string) ([]byte, bool) { return kafkaio.HeaderValue(a.headers, name) }

func newWaiting() *waiting {
	w := &waiting{calls: make(map[uint64]chan answer)}
	_, _ = rand.Read(w.client[:]) // which never fails
	return w
}

// register adds a call. Its channel holds the one answer, so that nobody waits for a caller who has gone.
func (w *waiting) register() (id uint64, answered <-chan answer, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, nil, ErrClosed
	}
	w.last++
	ch := make(chan answer, 1)
	w.calls[w.last] = ch
	return w.last, ch, nil
}

// take removes a call and returns its channel, nil when it waits no more. Of an answer, a failed write and the caller's own
// leaving, which may all come at once, the first to take the call has it to itself.
func (w *waiting) take(id uint64) chan answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	ch := w.calls[id]
	delete(w.calls, id)
	return ch
}

// forget removes a call whose caller has its answer or has gone.
func (w *waiting) forget(id uint64) { w.take(id) }

// fail answers a call with an error.
func (w *waiting) fail(id uint64, err error) {
	if ch := w.take(id); ch != nil {
		ch <- answer{err: err}
	}
}

// answer passes a reply to the call that waits for it, and counts one that nobody waits for.
func (w *waiting) answer(headers []kafkaio.Header, value []byte) {
	correlation, _ := kafkaio.HeaderValue(headers, kafkaio.HeaderCorrelationID)
	if len(correlation) != 16 || !bytes.Equal(correlation[:8], w.client[:]) {
		w.foreign.Add(1)
		return
	}
	ch := w.take(binary.BigEndian.Uint64(correlation[8:]))
	if ch == nil {
		w.late.Add(1)
		return
	}
	ch <- answer{headers: headers, value: value}
}

// encode returns the correlation id of a call.
func (w *waiting) encode(id uint64) []byte {
	return binary.BigEndian.AppendUint64(bytes.Clone(w.client[:]), id)
}

// close fails all calls, and those to come.
func (w *waiting) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for id, ch := range w.calls {
		delete(w.calls, id)
		ch <- answer{err: ErrClosed}
	}
}
