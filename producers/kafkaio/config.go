package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/schemas/secure"
)

// Config says how to reach the brokers.
type Config struct {
	// Brokers are the host:port pairs to learn the cluster from; one that answers is enough.
	Brokers []string `yaml:"brokers" env:"BROKERS"`
	// ClientID names this process in the brokers' logs and quotas.
	ClientID string `yaml:"client_id" env:"CLIENT_ID"`
	// How the connections to the brokers are encrypted.
	TLS secure.TLS `yaml:"tls" envPrefix:"TLS_"`
	// Who we are to the brokers.
	SASL SASL `yaml:"sasl" envPrefix:"SASL_"`
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
			errs = append(errs, brokerError(b))
		}
	}
	if err := c.TLS.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("tls.%w", err))
	}
	errs = append(errs, prefixed("sasl.", c.SASL.validate(c.TLS.Enabled, c.Brokers))...)
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

// prefixed puts the path of a section before each of its errors.
func prefixed(section string, err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	var errs []error
	for _, one := range joined.Unwrap() {
		errs = append(errs, fmt.Errorf("%s%w", section, one))
	}
	return errs
}

// DialFunc makes a connection to an address.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Dialer is for kafka-go's readers and consumer groups.
func (c Config) Dialer() *kafka.Dialer { return c.DialerOver(c.dial) }

// DialerOver is Dialer over plain connections of the caller's making. A file of the settings that cannot be read is the
// error of each connection, as it is with Client.
func (c Config) DialerOver(plain DialFunc) *kafka.Dialer {
	return &kafka.Dialer{ClientID: c.ClientID, Timeout: c.DialTimeout, DialFunc: c.safely(plain)}
}

// Client speaks to the brokers one request at a time for each connection, over connections of its own. Give it to CloseIdle
// when it is no longer needed: it keeps connections and a goroutine that watches the metadata.
func (c Config) Client() *kafka.Client {
	return &kafka.Client{
		Addr:    kafka.TCP(c.Brokers...),
		Timeout: c.RequestTimeout,
		Transport: &kafka.Transport{
			ClientID:    c.ClientID,
			Dial:        c.safely(c.dial),
			DialTimeout: c.DialTimeout,
			IdleTimeout: 5 * time.Minute,
			MetadataTTL: c.MetadataTTL,
		},
	}
}

func (c Config) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{Timeout: c.DialTimeout, KeepAlive: 30 * time.Second}).DialContext(ctx, network, address)
}

// safely encrypts what plain connects and says who we are, as configured. kafka-go could do both, but its errors do not tell a
// broker that would not have us from one which is away.
func (c Config) safely(plain DialFunc) DialFunc {
	encryption, err := c.TLS.Load()
	mechanism, saslErr := c.SASL.load()
	if err = errors.Join(err, saslErr); err != nil {
		return func(context.Context, string, string) (net.Conn, error) { return nil, err }
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := plain(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if encryption != nil {
			if conn, err = secure.Client(ctx, conn, address, encryption); err != nil {
				return nil, err
			}
		}
		if mechanism != nil {
			if err := login(ctx, conn, c.ClientID, mechanism); err != nil {
				_ = conn.Close()
				return nil, fmt.Errorf("logging in to %s as %q: %w", address, c.SASL.Username, err)
			}
		}
		return conn, nil
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
