//go:build race

package towers

const raceEnabled = true
