package dataset

// Repeats says whether a case may ask for an item that the user had before.
type Repeats string

// The answers.
const (
	// AskRepeats asks for whatever the user chose next: the lists must keep what the user has seen.
	AskRepeats Repeats = "ask"
	// SkipRepeats asks for items that are new to the user alone: the lists leave out what the user has seen.
	SkipRepeats Repeats = "skip"
	// AutoRepeats is one of the others, as Settle has it.
	AutoRepeats Repeats = "auto"
)

// commonRepeats is the share of choices from which on repeats are a part of what people do, and not an exception.
const commonRepeats = 0.2

// Settle gives the answer for a data set: AutoRepeats asks for repeats where they are a fifth of its choices or more. share is theirs,
// which only AutoRepeats counts.
func (r Repeats) Settle(d *Dataset) (answer Repeats, share float64) {
	if r != AutoRepeats {
		return r, 0
	}
	repeated, choices := d.RepeatedChoices()
	if share = float64(repeated) / float64(max(choices, 1)); share >= commonRepeats {
		return AskRepeats, share
	}
	return SkipRepeats, share
}

// RepeatedChoices counts the choices of all users, and those of an item that the user chose before. Events on one item in direct
// succession, such as a view and the purchase after it, are one choice.
func (d *Dataset) RepeatedChoices() (repeated, choices int) {
	lastUser := make([]int, len(d.Items)) // who had the item last, counted from 1
	for u, history := range d.Histories() {
		for i, item := range history {
			if i > 0 && history[i-1] == item {
				continue
			}
			choices++
			if lastUser[item] == u+1 {
				repeated++
			}
			lastUser[item] = u + 1
		}
	}
	return repeated, choices
}
