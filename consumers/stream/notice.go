package stream

import (
	"log/slog"
	"time"
)

// Notice warns of something about records that does no harm to the stream and may be a mistake of whoever writes it: at its Pace, with
// how many records there were since and the place of the last. It never says whom a record is about. A nil Notice says nothing. It is
// safe for concurrent use.
type Notice struct {
	log     *slog.Logger
	message string
	remedy  string
	pace    Pace
}

// NewNotice returns a Notice of one kind.
func NewNotice(log *slog.Logger, message, remedy string) *Notice {
	return &Notice{log: log, message: message, remedy: remedy}
}

// Of notes a record.
func (n *Notice) Of(r *Record) {
	if n == nil {
		return
	}
	if count := n.pace.Due(1, time.Now()); count > 0 {
		n.log.Warn(n.message, slog.Int("records", count), slog.String("topic", r.Topic), slog.Int("partition", int(r.Partition)),
			slog.Int64("offset", r.Offset), slog.String("remedy", n.remedy))
	}
}
