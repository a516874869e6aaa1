package training

import "math/rand/v2"

// repeated marks, in a sequence prepared for training, an item that the user had before.
const repeated = 1 << 30

// markRepeats copies the sequences with every item that stands earlier in its sequence marked.
func markRepeats(sequences [][]int32, items int) [][]int32 {
	lastUser := make([]int, items) // who had the item last, counted from 1
	marked := make([][]int32, len(sequences))
	for u, seq := range sequences {
		marked[u] = make([]int32, len(seq))
		for i, item := range seq {
			marked[u][i] = item
			if lastUser[item] == u+1 {
				marked[u][i] |= repeated
			}
			lastUser[item] = u + 1
		}
	}
	return marked
}

// targetsIn counts the positions of a window that are learnt from.
func targetsIn(window []int32) int {
	n := 0
	for _, item := range window[1:] {
		if item&repeated == 0 {
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
func cutWindows(dst [][]int32, sequences [][]int32, span int, rng *rand.Rand) [][]int32 {
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
func share(dst [][][]int32, batch [][]int32) {
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
