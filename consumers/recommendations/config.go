package recommendations

import (
	"fmt"
	"slices"
	"strings"
)

// Config says where replies may go.
type Config struct {
	// ReplyTopicPrefixes lists how the name of a reply topic may begin.
	ReplyTopicPrefixes []string `yaml:"reply_topic_prefixes" env:"REPLY_TOPIC_PREFIXES"`
}

// DefaultConfig allows the default reply topics and nothing else.
func DefaultConfig() Config {
	return Config{ReplyTopicPrefixes: []string{"freshet.replies"}}
}

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	if len(c.ReplyTopicPrefixes) == 0 {
		return fmt.Errorf("reply_topic_prefixes is empty: list at least one prefix such as freshet.replies")
	}
	if slices.Contains(c.ReplyTopicPrefixes, "") {
		return fmt.Errorf("reply_topic_prefixes holds an empty prefix, which would allow every topic: name one")
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
