package kafkaio

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/freshet/freshet/schemas/secure"
)

// SASL says who we are to the brokers.
type SASL struct {
	// Mechanism is plain, scram-sha-256 or scram-sha-512; empty names no user.
	Mechanism string        `yaml:"mechanism" env:"MECHANISM"`
	Username  string        `yaml:"username" env:"USERNAME"`
	Password  secure.Secret `yaml:"password" env:"PASSWORD" secret:"true"`
	// PasswordFile holds the password; set it or Password.
	PasswordFile string `yaml:"password_file" env:"PASSWORD_FILE"`
	// AllowPlaintext lets the mechanism plain, which sends the password as it is, go without TLS to brokers that are not on
	// this machine.
	AllowPlaintext bool `yaml:"allow_plaintext" env:"ALLOW_PLAINTEXT"`
}

// The SASL mechanisms (RFC 4616, RFC 5802, RFC 7677).
const (
	mechanismPlain  = "plain"
	mechanismSHA256 = "scram-sha-256"
	mechanismSHA512 = "scram-sha-512"
)

// validate reports every setting that cannot work with this encryption to these brokers.
func (s SASL) validate(encrypted bool, brokers []string) error {
	var errs []error
	switch {
	case s.Mechanism == "" && (s.Username != "" || s.Password.Set(s.PasswordFile)):
		errs = append(errs, errors.New("mechanism is empty but a username or a password is set: "+
			"give plain, scram-sha-256 or scram-sha-512"))
	case s.Mechanism == "":
	case !slices.Contains([]string{mechanismPlain, mechanismSHA256, mechanismSHA512}, s.Mechanism):
		errs = append(errs, fmt.Errorf("mechanism is %q: give plain, scram-sha-256 or scram-sha-512", s.Mechanism))
	case s.Username == "":
		errs = append(errs, fmt.Errorf("username is empty but mechanism is %q: name the user", s.Mechanism))
	case !s.Password.Set(s.PasswordFile):
		errs = append(errs, fmt.Errorf("password is empty but mechanism is %q: give it in the environment, "+
			"or name the file that holds it in password_file", s.Mechanism))
	}
	if err := secure.CheckSecret("password", s.Password, s.PasswordFile); err != nil {
		errs = append(errs, err)
	}
	if s.Mechanism == mechanismPlain && !encrypted && !s.AllowPlaintext && slices.ContainsFunc(brokers, isRemote) {
		errs = append(errs, errors.New("mechanism is plain without TLS, which would send the password in the clear: "+
			"enable tls, use scram-sha-512, or set allow_plaintext where the network is safe"))
	}
	return errors.Join(errs...)
}

// isRemote says whether a broker's address may lead away from this machine.
func isRemote(broker string) bool {
	host, _, err := net.SplitHostPort(broker)
	if err != nil {
		return true
	}
	ip := net.ParseIP(host)
	return host != "localhost" && (ip == nil || !ip.IsLoopback())
}

// load returns the mechanism with its password, nil when none is set.
func (s SASL) load() (sasl.Mechanism, error) {
	if s.Mechanism == "" {
		return nil, nil //nolint:nilnil // as kafka-go has it: no mechanism, no SASL
	}
	password, err := secure.ReadSecret("sasl.password", s.Password, s.PasswordFile)
	if err != nil {
		return nil, err
	}
	if s.Mechanism == mechanismPlain {
		return plain.Mechanism{Username: s.Username, Password: password.Reveal()}, nil
	}
	algorithm := scram.SHA256
	if s.Mechanism == mechanismSHA512 {
		algorithm = scram.SHA512
	}
	m, err := scram.Mechanism(algorithm, s.Username, password.Reveal())
	if err != nil {
		// The error would show the text that SASLprep (RFC 4013) forbids.
		return nil, secure.Refused(secure.Credentials,
			errors.New("sasl.username or sasl.password holds characters that SCRAM forbids: change it at the brokers and here"))
	}
	return m, nil
}

// brokerError shows an address, unless a password may stand in it: kafka.brokers is no place for one.
func brokerError(broker string) error {
	if strings.Contains(broker, "@") {
		return errors.New("brokers has an entry with a user or a password in it (not shown): give host:port, and the user under sasl")
	}
	return fmt.Errorf("brokers: %q is not host:port", broker)
}
