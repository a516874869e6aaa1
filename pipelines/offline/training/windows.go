package training

import (
	"math/rand/v2"
	"slices"
)

// bothDirections adds to each sequence its events from the last to the first. The gap between two events stays between them.
func bothDirections(sequences [][]event) [][]event {
	all := make([][]event, 0, 2*len(sequences))
	for _, seq := range sequences {
		backwards := slices.Clone(seq)
		slices.Reverse(backwards)
		for i := range backwards {
			backwards[i].gap = seq[(len(seq)-i)%len(seq)].gap // of the event that followed it; the first keeps that of a first one
		}
		all = append(all, seq, backwards)
	}
	return all
}

// leaveRepeatsAside marks every event on an item that stands earlier in its sequence.
func leaveRepeatsAside(sequences [][]event, items int) {
	lastUser := make([]int, items) // who had the item last, counted from 1
	for u, seq := range sequences {
		for i := range seq {
			e := &seq[i]
			e.aside = e.aside || lastUser[e.item] == u+1
			lastUser[e.item] = u + 1
		}
	}
}

// leaveSuccessionsAside marks every choice of the item that the choice before was of.
func leaveSuccessionsAside(sequences [][]event) {
	for _, seq := range sequences {
		item := int32(-1)
		for i := range seq {
			if e := &seq[i]; !e.aside {
				e.aside = e.item == item
				item = e.item
			}
		}
	}
}

// targetsIn counts the positions of a window that are learnt from.
func targetsIn(window []event) int {
	n := 0
	for _, e := range window[1:] {
		if !e.aside {
			n++
		}
	}
	return n
}

// minRest is the least number of events for which the rest behind a shifted phase becomes a window of its own.
const minRest = 20

// cutWindows cuts every sequence into windows of at most span+1 events (span positions that predict the next one). A long
// sequence is cut from its end in steps of span, so that every event is predicted once; in about every other epoch the cuts
// lie elsewhere, since half of the time the phase is random. Windows share their sequences' memory.
func cutWindows(dst, sequences [][]event, span int, rng *rand.Rand) [][]event {
	size := span + 1
	for _, seq := range sequences {
		end := len(seq)
		if end > size && rng.IntN(2) == 0 {
			end -= rng.IntN(size)
		}
		if rest := len(seq) - end; rest >= minRest {
			dst = append(dst, seq[max(end, len(seq)-size):])
		}
		for ; end > 1; end -= span {
			dst = append(dst, seq[max(0, end-size):end])
		}
	}
	return dst
}

// share deals a batch's windows to workers, each window to the worker with the fewest positions so far, in the order given:
// equal loads without a queue, whose order would depend on the clock.
func share(dst [][][]event, batch [][]event) {
	loads := make([]int, len(dst))
	for w := range dst {
		dst[w] = dst[w][:0]
	}
	for _, window := range batch {
		least := 0
		for w, load := range loads {
			if load < loads[least] {
				least = w
			}
		}
		dst[least] = append(dst[least], window)
		loads[least] += len(window) - 1
	}
}
