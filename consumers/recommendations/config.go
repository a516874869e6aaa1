package recommendations

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Config says where replies may go.
type Config struct {
	// ReplyTopicPrefixes lists how the name of a reply topic may begin.
	ReplyTopicPrefixes []string `yaml:"reply_topic_prefixes" env:"REPLY_TOPIC_PREFIXES"`
	// DefaultDeadline counts from the broker's timestamp of a request that names no deadline.
	DefaultDeadline time.Duration `yaml:"default_deadline" env:"DEFAULT_DEADLINE"`
}

// DefaultConfig allows the default reply topics and nothing else.
func DefaultConfig() Config {
	return Config{ReplyTopicPrefixes: []string{"freshet.replies"}, DefaultDeadline: 2 * time.Second}
}

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	if len(c.ReplyTopicPrefixes) == 0 {
		return fmt.Errorf("reply_topic_prefixes is empty: list at least one prefix such as freshet.replies")
	}
	if slices.Contains(c.ReplyTopicPrefixes, "") {
		return fmt.Errorf("reply_topic_prefixes holds an empty prefix, which would allow every topic: name one")
	}
	if c.DefaultDeadline <= 0 {
		return fmt.Errorf("default_deadline is %s: use a positive duration such as 2s", c.DefaultDeadline)
	}
	return nil
}

func (c Config) allows(topic string) bool {
	for _, p := range c.ReplyTopicPrefixes {
		if strings.HasPrefix(topic, p) {
			return true
		}
	}
	return false
}
