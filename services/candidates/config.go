package candidates

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/milvus-io/milvus-sdk-go/v2/entity"

	"github.com/freshet/freshet/schemas/secure"
)

// Config says where Milvus is and how its collections are made.
type Config struct {
	// Address is host:port; https://host:port enables TLS.
	Address string `yaml:"address" env:"ADDRESS"`
	// Username and Password name a user of Milvus. PasswordFile holds the password; set it or Password.
	Username     string        `yaml:"username" env:"USERNAME"`
	Password     secure.Secret `yaml:"password" env:"PASSWORD" secret:"true"`
	PasswordFile string        `yaml:"password_file" env:"PASSWORD_FILE"`
	// Token stands in place of a user and a password: an API key, or both with a colon between. TokenFile holds it.
	Token     secure.Secret `yaml:"token" env:"TOKEN" secret:"true"`
	TokenFile string        `yaml:"token_file" env:"TOKEN_FILE"`
	// How the connections to Milvus are encrypted.
	TLS secure.TLS `yaml:"tls" envPrefix:"TLS_"`
	// Collection is the prefix of the collections' names, before _<model>; Alias names the live one.
	Collection string `yaml:"collection" env:"COLLECTION"`
	Alias      string `yaml:"alias" env:"ALIAS"`
	// DialTimeout bounds connecting, CallTimeout each call, LoadTimeout the making and loading of a collection.
	DialTimeout time.Duration `yaml:"dial_timeout" env:"DIAL_TIMEOUT"`
	CallTimeout time.Duration `yaml:"call_timeout" env:"CALL_TIMEOUT"`
	LoadTimeout time.Duration `yaml:"load_timeout" env:"LOAD_TIMEOUT"`
	// WriteRows is how many rows or ids one call writes.
	WriteRows int `yaml:"write_rows" env:"WRITE_ROWS"`
	// Consistency of searches: bounded or eventually. The latter may miss the latest writes for longer.
	Consistency string `yaml:"consistency" env:"CONSISTENCY"`
	HNSW        HNSW   `yaml:"hnsw" envPrefix:"HNSW_"`
}

// HNSW holds the parameters of the index (Malkov and Yashunin, 2016). M and EfConstruction count when a collection is made.
type HNSW struct {
	// M is the number of neighbours of a node, 4 to 64.
	M int `yaml:"m" env:"M"`
	// EfConstruction is how many candidates an insertion looks at, 8 to 512.
	EfConstruction int `yaml:"ef_construction" env:"EF_CONSTRUCTION"`
	// Ef is how many candidates a search looks at; a search for more than Ef results looks at that many.
	Ef int `yaml:"ef" env:"EF"`
}

// DefaultConfig expects a Milvus on this machine.
func DefaultConfig() Config {
	return Config{
		Address:     "127.0.0.1:19530",
		Collection:  "freshet_items",
		Alias:       "freshet_items_live",
		DialTimeout: 5 * time.Second,
		CallTimeout: 5 * time.Second,
		LoadTimeout: 2 * time.Minute,
		WriteRows:   1000,
		Consistency: "bounded",
		HNSW:        HNSW{M: 16, EfConstruction: 200, Ef: 128},
	}
}

var (
	collectionName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)
	modelVersion   = regexp.MustCompile(`^[a-z0-9_]{1,100}$`)
)

// Validate names the first field that cannot work.
func (c Config) Validate() error {
	switch {
	case c.Address == "":
		return errors.New("address is empty: name Milvus's host:port")
	case strings.Contains(c.Address, "@"):
		return errors.New("address has a user or a password in it (not shown): give host:port, and the user in username and password")
	case !collectionName.MatchString(c.Collection):
		return fmt.Errorf("collection %q: use up to 100 letters, digits and underscores, no digit first", c.Collection)
	case !collectionName.MatchString(c.Alias):
		return fmt.Errorf("alias %q: use up to 100 letters, digits and underscores, no digit first", c.Alias)
	case c.WriteRows < 1 || c.WriteRows > 10000:
		return fmt.Errorf("write_rows is %d: use 1 to 10000", c.WriteRows)
	case c.HNSW.Ef < 1 || c.HNSW.Ef > MaxResults:
		return fmt.Errorf("hnsw.ef is %d: use 1 to %d", c.HNSW.Ef, MaxResults)
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"dial_timeout", c.DialTimeout}, {"call_timeout", c.CallTimeout}, {"load_timeout", c.LoadTimeout}} {
		if d.value <= 0 {
			return fmt.Errorf("%s is %s: it must be above zero", d.field, d.value)
		}
	}
	if err := c.validateAccess(); err != nil {
		return err
	}
	if _, err := c.consistency(); err != nil {
		return err
	}
	if _, err := entity.NewIndexHNSW(entity.IP, c.HNSW.M, c.HNSW.EfConstruction); err != nil {
		return fmt.Errorf("hnsw: %w", err)
	}
	return nil
}

func (c Config) validateAccess() error {
	if err := c.encryption().Validate(); err != nil {
		return fmt.Errorf("tls.%w", err)
	}
	if err := secure.CheckSecret("password", c.Password, c.PasswordFile); err != nil {
		return err
	}
	if err := secure.CheckSecret("token", c.Token, c.TokenFile); err != nil {
		return err
	}
	named := c.Username != "" || c.Password.Set(c.PasswordFile)
	switch {
	case named && c.Token.Set(c.TokenFile):
		return errors.New("token is set, and a username or a password too: keep the token or the two")
	case named && (c.Username == "" || !c.Password.Set(c.PasswordFile)):
		return errors.New("username and password belong together, and one of them is empty: give both, or neither")
	}
	return nil
}

// encryption is the TLS section, enabled where the address says so.
func (c Config) encryption() secure.TLS {
	t := c.TLS
	t.Enabled = t.Enabled || strings.HasPrefix(c.Address, "https://")
	return t
}

func (c Config) consistency() (entity.ConsistencyLevel, error) {
	switch c.Consistency {
	case "bounded":
		return entity.ClBounded, nil
	case "eventually":
		return entity.ClEventually, nil
	}
	return 0, fmt.Errorf("consistency %q: use bounded or eventually", c.Consistency)
}

// name is the collection of a model version. Both parts are bounded, so that it stays below Milvus's 255 bytes.
func (c Config) name(model string) (string, error) {
	if !modelVersion.MatchString(model) {
		return "", fmt.Errorf("model version %q cannot name a collection: use up to 100 of a-z, 0-9 and underscore", model)
	}
	name := c.Collection + "_" + model
	if name == c.Alias {
		return "", fmt.Errorf("model version %q: its collection would have the name of the alias %s: choose another version",
			model, c.Alias)
	}
	return name, nil
}
