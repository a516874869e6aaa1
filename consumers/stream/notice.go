package stream

import (
	"log/slog"
	"sync"
	"time"
)

// noticeEvery is how often a Notice speaks at the most.
const noticeEvery = time.Minute

// Notice warns of something about records that does no harm to the stream and may be a mistake of whoever writes it: at once, then
// once a minute, with how many records there were since and the place of the last. It never says whom a record is about. A nil Notice
// says nothing. It is safe for concurrent use.
type Notice struct {
	log     *slog.Logger
	message string
	remedy  string

	mu    sync.Mutex
	until time.Time
	count int
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
	n.mu.Lock()
	defer n.mu.Unlock()
	n.count++
	now := time.Now()
	if now.Before(n.until) {
		return
	}
	n.log.Warn(n.message, slog.Int("records", n.count), slog.String("topic", r.Topic), slog.Int("partition", int(r.Partition)),
		slog.Int64("offset", r.Offset), slog.String("remedy", n.remedy))
	n.until, n.count = now.Add(noticeEvery), 0
}
