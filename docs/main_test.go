// Package docs has no code but tests: what the project's documents show, name and link to is there.
package docs

import (
	"os"
	"testing"
)

// The documents name files from the root on.
func TestMain(m *testing.M) {
	if err := os.Chdir(".."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
