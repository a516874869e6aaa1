package kafkaio

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
)

// Config says how to reach the brokers.
type Config struct {
	// Brokers are the host:port pairs to learn the cluster from; one that answers is enough.
	Brokers []string `yaml:"brokers" env:"BROKERS"`
	// ClientID names this process in the brokers' logs and quotas.
	ClientID string `yaml:"client_id" env:"CLIENT_ID"`
	// DialTimeout bounds the making of one connection.
	DialTimeout time.Duration `yaml:"dial_timeout" env:"DIAL_TIMEOUT"`
	// RequestTimeout bounds one request to a broker; a broker has half of it to gather its replicas' acknowledgements.
	RequestTimeout time.Duration `yaml:"request_timeout" env:"REQUEST_TIMEOUT"`
	// MetadataTTL is the most that the view of topics, partitions and leaders ages; an error refreshes it at once.
	MetadataTTL time.Duration `yaml:"metadata_ttl" env:"METADATA_TTL"`
}

// DefaultConfig reaches a broker on this machine.
func DefaultConfig() Config {
	return Config{
		Brokers:        []string{"127.0.0.1:9092"},
		ClientID:       "freshet",
		DialTimeout:    5 * time.Second,
		RequestTimeout: 10 * time.Second,
		MetadataTTL:    30 * time.Second,
	}
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("brokers is empty: give at least one host:port"))
	}
	for _, b := range c.Brokers {
		if _, port, err := net.SplitHostPort(b); err != nil || port == "" {
			errs = append(errs, fmt.Errorf("brokers: %q is not host:port", b))
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"dial_timeout", c.DialTimeout},
		{"request_timeout", c.RequestTimeout},
		{"metadata_ttl", c.MetadataTTL},
	} {
		if d.value <= 0 {
			errs = append(errs, fmt.Errorf("%s is %s: give a positive duration, such as 10s", d.name, d.value))
		}
	}
	return errors.Join(errs...)
}

// Dialer is for kafka-go's readers and consumer groups.
func (c Config) Dialer() *kafka.Dialer {
	return &kafka.Dialer{ClientID: c.ClientID, Timeout: c.DialTimeout, DualStack: true, KeepAlive: 30 * time.Second}
}

// Client speaks to the brokers one request at a time for each connection, over connections of its own. Give it to CloseIdle
// when it is no longer needed: it keeps connections and a goroutine that watches the metadata.
func (c Config) Client() *kafka.Client {
	return &kafka.Client{
		Addr:    kafka.TCP(c.Brokers...),
		Timeout: c.RequestTimeout,
		Transport: &kafka.Transport{
			ClientID:    c.ClientID,
			DialTimeout: c.DialTimeout,
			IdleTimeout: 5 * time.Minute,
			MetadataTTL: c.MetadataTTL,
		},
	}
}

// CloseIdle gives back what a client of Config.Client keeps: now where it is idle, as they end where requests are in
// flight. A client that is used again afterwards connects anew and learns the cluster anew, so this is also the way to
// make it forget metadata that turned out stale.
func CloseIdle(client *kafka.Client) {
	if t, ok := client.Transport.(*kafka.Transport); ok {
		t.CloseIdleConnections()
	}
}
