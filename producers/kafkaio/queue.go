package kafkaio

// push adds a message to its partition's queue.
func (w *Writer) push(p *pending) {
	d := destination{p.Topic, p.Partition}
	w.mu.Lock()
	defer w.mu.Unlock()
	q := w.queues[d]
	if q == nil {
		q = &queue{destination: d}
		w.queues[d] = q
	}
	q.waiting = append(q.waiting, p)
	if len(q.waiting) == 1 && !q.busy {
		w.ready(q)
	}
}

// ready lists a queue with its broker and makes sure that a goroutine will come for it. The caller holds the lock.
//
// The goroutine's check that nothing is ready, and its end, are one step under the lock (take). Otherwise: the goroutine
// finds nothing ready; ready lists a queue and counts on the goroutine; it ends; the messages wait for ever.
func (w *Writer) ready(q *queue) {
	id := q.waiting[0].leader
	b := w.brokers[id]
	if b == nil {
		b = &broker{id: id}
		w.brokers[id] = b
	}
	b.ready = append(b.ready, q)
	if b.inFlight < maxInFlight {
		b.inFlight++
		go w.serve(b)
	}
}

// maxInFlight is how many requests a broker works on for us at a time. The second spares a message the wait for an answer
// that has nothing to do with it; more would only make the requests smaller.
const maxInFlight = 2

// requestBatches bounds a request to so many times MaxBatchBytes.
const requestBatches = 8

// batch is the messages of one partition that go in one request.
type batch struct {
	*queue
	messages []*pending
	bytes    int64
}

// take returns the next request for a broker: from each queue that is ready at most MaxBatchBytes and MaxBatchMessages. It
// returns nil, and counts the caller out, when nothing is ready.
func (w *Writer) take(b *broker) []batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	var request []batch
	var bytes int64
	for len(b.ready) > 0 && bytes < w.cfg.MaxBatchBytes*requestBatches {
		next := b.ready[0].cut(w.cfg)
		bytes += next.bytes
		request = append(request, next)
		b.ready = b.ready[1:]
	}
	if request == nil {
		if b.inFlight--; b.inFlight == 0 {
			delete(w.brokers, b.id)
		}
	}
	return request
}

// cut takes the first messages from a queue, which is busy until release.
func (q *queue) cut(cfg WriterConfig) batch {
	n, bytes := 0, int64(batchOverhead)
	for n < len(q.waiting) && n < cfg.MaxBatchMessages && bytes+q.waiting[n].bytes <= cfg.MaxBatchBytes {
		bytes += q.waiting[n].bytes
		n++
	}
	messages := q.waiting[:n:n]
	q.waiting = q.waiting[n:]
	q.busy = true
	return batch{queue: q, messages: messages, bytes: bytes}
}

// release ends a queue's being busy, once the messages of its batch have their answers.
func (w *Writer) release(q *queue) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q.busy = false
	if len(q.waiting) > 0 {
		w.ready(q)
		return
	}
	delete(w.queues, q.destination)
	w.checkEmpty()
}
