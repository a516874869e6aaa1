package demo

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/schollz/progressbar/v3"

	"github.com/freshet/freshet/services/terminal"
)

// console prints the story and keeps count of its checks.
type console struct {
	out      io.Writer
	progress io.Writer // nil where nobody watches: then long steps print a line when they are done
	begin    time.Time
	passed   int
	failed   []string
}

func (c *console) printf(format string, args ...any) { _, _ = terminal.Fprintf(c.out, format, args...) }

// heading opens a step of the story.
func (c *console) heading(number int, title string) {
	c.printf("\n%s %s\n", terminal.Block(text.Bold.Sprintf("%d.", number)), terminal.Block(text.Bold.Sprint(title)))
}

// note tells something that needs no check.
func (c *console) note(format string, args ...any) { c.printf("   "+format+"\n", args...) }

// check prints a claim with its verdict. A claim that does not hold fails the whole run, at its end.
func (c *console) check(holds bool, format string, args ...any) {
	claim := terminal.Sprintf(format, args...)
	if holds {
		c.passed++
		c.printf("   %s %s\n", terminal.Block(text.FgGreen.Sprint("✓")), terminal.Block(claim))
		return
	}
	c.failed = append(c.failed, claim)
	c.printf("   %s %s\n", terminal.Block(text.FgRed.Sprint("✗")), terminal.Block(claim))
}

// table prints rows under a header, indented like the rest of the story.
func (c *console) table(header terminal.Row, rows []terminal.Row) {
	t := terminal.NewTable(nil, header)
	t.AppendRows(rows)
	c.printf("   %s\n", terminal.Block(strings.ReplaceAll(t.Render(), "\n", "\n   ")))
}

// stage runs one part of the preparation and says how long it took.
func (c *console) stage(what string, work func() (string, error)) error {
	begin := time.Now()
	outcome, err := work()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	c.printf("%s %-12s %s %s\n", terminal.Block(text.FgGreen.Sprint("✓")), what, outcome,
		terminal.Block(text.Faint.Sprintf("(%.1f s)", time.Since(begin).Seconds())))
	return nil
}

// bar shows how far a long stage has come.
func (c *console) bar(total int, what string) *progressbar.ProgressBar {
	if c.progress == nil {
		return progressbar.DefaultSilent(int64(total))
	}
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(c.progress), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}

// clip shortens s to n runes, so that tables stay narrow.
func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
