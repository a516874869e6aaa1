package schemas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/freshet/freshet/schemas/secure"
)

// Registry maps schemas to the ids that records carry. It is safe for concurrent use.
type Registry interface {
	// Register makes sure that the schema is known under subject and returns its id.
	Register(ctx context.Context, subject, schema string) (id int, err error)
	// Schema returns the schema with this id. The error is ErrUnknownSchema where no such schema exists; any other error may pass.
	Schema(ctx context.Context, id SchemaID) (Schema, error)
	// Latest returns the latest schema of a subject, and its id. The error is ErrUnknownSchema where the subject has none.
	Latest(ctx context.Context, subject string) (id int, schema Schema, err error)
}

// Schema is an Avro schema as a registry holds it: its text and, where that names types which are registered apart, their texts, each
// after those that it refers to itself.
type Schema struct {
	Text  string
	Named []string
}

// ErrUnknownSchema says that a registry was reached and holds no Avro schema of the wanted id.
var ErrUnknownSchema = errors.New("unknown schema")

// RegistryConfig says where schemas are kept.
type RegistryConfig struct {
	// URL of a registry with Confluent's API; more than one instance with commas between. Empty means the embedded registry.
	URL string `yaml:"url" env:"URL"`
	// Username and Password are sent with each call (RFC 7617). PasswordFile holds the password; set it or Password.
	Username     string        `yaml:"username" env:"USERNAME"`
	Password     secure.Secret `yaml:"password" env:"PASSWORD" secret:"true"`
	PasswordFile string        `yaml:"password_file" env:"PASSWORD_FILE"`
	// How the connections to a registry are encrypted whose URL begins with https, which enables it.
	TLS secure.TLS `yaml:"tls" envPrefix:"TLS_"`
	// Compatibility is the level that a subject gets on registration which has none of its own: BACKWARD, say. Empty leaves subjects
	// as they are. (Apicurio's NONE counts as no level there: it keeps none apart.)
	Compatibility string `yaml:"compatibility" env:"COMPATIBILITY"`
	// Timeout bounds each call; 0 means the default's.
	Timeout time.Duration `yaml:"timeout" env:"TIMEOUT"`
}

// DefaultRegistryConfig means the embedded registry.
func DefaultRegistryConfig() RegistryConfig {
	return RegistryConfig{Compatibility: sr.CompatBackward.String(), Timeout: 5 * time.Second}
}

// Validate checks the settings; the error names field, value and remedy.
func (c RegistryConfig) Validate() error {
	for _, instance := range c.urls() {
		u, err := url.Parse(instance)
		if strings.Contains(instance, "@") { // it would be printed with the settings and with every error
			return invalid("url", "(not shown)", "give the user in username and password, which are kept secret")
		}
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return invalid("url", Quote(instance), "give http://host:port or https://host:port, or leave it empty")
		}
	}
	if _, err := c.level(); err != nil {
		return invalid("compatibility", Quote(c.Compatibility),
			"give BACKWARD, FULL, FORWARD, one of these with _TRANSITIVE, NONE, or leave it empty")
	}
	if c.Timeout < 0 {
		return invalid("timeout", c.Timeout.String(), "give a duration above 0, such as 5s")
	}
	return c.validateAccess()
}

func (c RegistryConfig) validateAccess() error {
	if c.Password != "" && c.PasswordFile != "" {
		return invalid("password_file", Quote(c.PasswordFile), "leave it empty, or leave password empty: one of the two")
	}
	if c.Username == "" && c.Password.Set(c.PasswordFile) {
		return invalid("username", `""`, "name the user of the password")
	}
	if c.TLS.Enabled {
		for _, instance := range c.urls() {
			if !strings.HasPrefix(instance, "https://") {
				return invalid("url", Quote(instance), "begin it with https://, or set tls.enabled to false")
			}
		}
	}
	if err := c.encryption().Validate(); err != nil {
		return fmt.Errorf("tls.%w", err)
	}
	return nil
}

// encryption is the TLS section, enabled where the URL says so.
func (c RegistryConfig) encryption() secure.TLS {
	t := c.TLS
	t.Enabled = t.Enabled || strings.HasPrefix(c.URL, "https://")
	return t
}

// level is Compatibility as the API has it; 0 where subjects are left alone.
func (c RegistryConfig) level() (level sr.CompatibilityLevel, err error) {
	if c.Compatibility != "" {
		err = level.UnmarshalText([]byte(c.Compatibility))
	}
	return level, err
}

func (c RegistryConfig) urls() []string {
	var list []string
	for instance := range strings.SplitSeq(c.URL, ",") {
		if instance = strings.TrimSpace(instance); instance != "" {
			list = append(list, instance)
		}
	}
	return list
}

// NewRegistry returns the embedded registry where no URL is set, else a client of a registry with Confluent's API. It makes no
// call. The log is told of a compatibility level that could not be seen to; nil means slog.Default.
func NewRegistry(c RegistryConfig, log *slog.Logger) (Registry, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the schema registry: %w", err)
	}
	urls := c.urls()
	if len(urls) == 0 {
		return EmbeddedRegistry(), nil
	}
	encryption, err := c.encryption().Load()
	if err != nil {
		return nil, fmt.Errorf("configuring the schema registry: %w", err)
	}
	password, err := secure.ReadSecret("password", c.Password, c.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("configuring the schema registry: %w", err)
	}
	// One call at the start and one for each new schema are no reason to keep connections.
	opts := []sr.ClientOpt{sr.UserAgent("freshet"), sr.HTTPClient(&http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSClientConfig: encryption,
	}})}
	if c.Username != "" {
		opts = append(opts, sr.BasicAuth(c.Username, password.Reveal()))
	}
	r, err := newConfluentRegistry(c, cmp.Or(log, slog.Default()), urls, opts)
	if err != nil {
		return nil, fmt.Errorf("configuring the schema registry: %w", err)
	}
	return r, nil
}

// RegistryError is a call of the schema registry that failed, as opposed to one of Kafka in the same step.
type RegistryError struct{ err error }

func (e *RegistryError) Error() string { return e.err.Error() }
func (e *RegistryError) Unwrap() error { return e.err }
