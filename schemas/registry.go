package schemas

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/freshet/freshet/schemas/secure"
)

// Registry maps schemas to the ids that records carry. It is safe for concurrent use.
type Registry interface {
	// Register makes sure that the schema is known under subject and returns its id.
	Register(ctx context.Context, subject, schema string) (id int, err error)
	// Schema returns the text of the schema with this id. The error is ErrUnknownSchema where no such schema exists;
	// any other error may pass.
	Schema(ctx context.Context, id int) (string, error)
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
	// Timeout bounds each call; 0 means the default's.
	Timeout time.Duration `yaml:"timeout" env:"TIMEOUT"`
}

// DefaultRegistryConfig means the embedded registry.
func DefaultRegistryConfig() RegistryConfig { return RegistryConfig{Timeout: 5 * time.Second} }

// Validate checks the settings; the error names field, value and remedy.
func (c RegistryConfig) Validate() error {
	for _, instance := range c.urls() {
		u, err := url.Parse(instance)
		if strings.Contains(instance, "@") { // it would be printed with the settings and with every error
			return invalid("url", "(not shown)", "give the user in username and password, which are kept secret")
		}
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return invalid("url", shorten(instance), "give http://host:port or https://host:port, or leave it empty")
		}
	}
	if c.Timeout < 0 {
		return invalid("timeout", c.Timeout.String(), "give a duration above 0, such as 5s")
	}
	return c.validateAccess()
}

func (c RegistryConfig) validateAccess() error {
	if c.Password != "" && c.PasswordFile != "" {
		return invalid("password_file", shorten(c.PasswordFile), "leave it empty, or leave password empty: one of the two")
	}
	if c.Username == "" && c.Password.Set(c.PasswordFile) {
		return invalid("username", `""`, "name the user of the password")
	}
	if c.TLS.Enabled {
		for _, instance := range c.urls() {
			if !strings.HasPrefix(instance, "https://") {
				return invalid("url", shorten(instance), "begin it with https://, or set tls.enabled to false")
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
// call.
func NewRegistry(c RegistryConfig) (Registry, error) {
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
	opts := []sr.ClientOpt{sr.URLs(urls...), sr.UserAgent("freshet"), sr.HTTPClient(&http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSClientConfig: encryption,
	}})}
	if c.Username != "" {
		opts = append(opts, sr.BasicAuth(c.Username, password.Reveal()))
	}
	client, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("configuring the schema registry: %w", err)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultRegistryConfig().Timeout
	}
	// Records from before the registry was set carry the embedded registry's ids, and stay readable.
	texts := maps.Clone(embeddedSchemas().byID)
	return &confluentRegistry{client: client, timeout: c.Timeout, texts: texts}, nil
}

// RegistryError is a call of the schema registry that failed, as opposed to one of Kafka in the same step.
type RegistryError struct{ err error }

func (e *RegistryError) Error() string { return e.err.Error() }
func (e *RegistryError) Unwrap() error { return e.err }

// confluentRegistry asks a registry with Confluent's API, once for each schema: what an id means never changes.
type confluentRegistry struct {
	client  *sr.Client
	timeout time.Duration

	mu    sync.Mutex
	texts map[int]string
}

func (r *confluentRegistry) Register(ctx context.Context, subject, schema string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	id, err := r.client.RegisterSchema(ctx, subject, sr.Schema{Schema: schema}, -1, -1)
	if err != nil {
		return 0, &RegistryError{fmt.Errorf("registering a schema under %s: %w", subject, refused(err))}
	}
	return id, nil
}

func (r *confluentRegistry) Schema(ctx context.Context, id int) (string, error) {
	if text, ok := r.cached(id); ok {
		return text, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	schema, err := r.client.SchemaByID(ctx, id)
	switch {
	case isNotFound(err):
		return "", fmt.Errorf("schema id %d in the registry: %w", id, ErrUnknownSchema)
	case err != nil:
		return "", &RegistryError{fmt.Errorf("asking the registry for schema id %d: %w", id, refused(err))}
	case schema.Type != sr.TypeAvro || len(schema.References) > 0:
		return "", fmt.Errorf("schema id %d in the registry is no Avro schema in one piece: %w", id, ErrUnknownSchema)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.texts[id] = schema.Schema
	return schema.Schema, nil
}

func (r *confluentRegistry) cached(id int) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	text, ok := r.texts[id]
	return text, ok
}

// refused marks the answers of a registry that would not have us. What it says beside the status may be a proxy's whole page.
func refused(err error) error {
	answer, ok := errors.AsType[*sr.ResponseError](err)
	switch {
	case !ok:
		return secure.Refused(secure.ProblemOf(err), err)
	case answer.StatusCode == http.StatusUnauthorized:
		return secure.Refused(secure.Credentials, fmt.Errorf("%s answered %d", answer.URL, answer.StatusCode))
	case answer.StatusCode == http.StatusForbidden:
		return secure.Refused(secure.Denied, fmt.Errorf("%s answered %d", answer.URL, answer.StatusCode))
	}
	return err
}

// isNotFound recognises the registry's own answer. A bare 404 is what a proxy or a wrong path gives, and is no word on the
// schema.
func isNotFound(err error) bool {
	var answer *sr.ResponseError
	return errors.As(err, &answer) && answer.ErrorCode == sr.ErrSchemaNotFound.Code
}
