package redisdb

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/freshet/freshet/schemas/secure"
)

// Config says where Redis is and how long to wait for it.
type Config struct {
	// Addresses are host:port; one is a single server, several are seeds of a cluster.
	Addresses []string `yaml:"addresses" env:"ADDRESSES"`
	// Cluster speaks the cluster protocol even when Addresses has a single (configuration) endpoint.
	Cluster bool `yaml:"cluster" env:"CLUSTER"`
	// Username and Password are those of an ACL user; without a name the user is Redis's default one. PasswordFile holds the
	// password; set it or Password.
	Username     string        `yaml:"username" env:"USERNAME"`
	Password     secure.Secret `yaml:"password" env:"PASSWORD" secret:"true"`
	PasswordFile string        `yaml:"password_file" env:"PASSWORD_FILE"`
	// How the connections to the servers, and to the sentinels, are encrypted.
	TLS secure.TLS `yaml:"tls" envPrefix:"TLS_"`
	// Which sentinels know the server that is the master now.
	Sentinel Sentinel `yaml:"sentinel" envPrefix:"SENTINEL_"`
	// DB is the number of the database; a cluster only has 0.
	DB           int           `yaml:"db" env:"DB"`
	DialTimeout  time.Duration `yaml:"dial_timeout" env:"DIAL_TIMEOUT"`
	ReadTimeout  time.Duration `yaml:"read_timeout" env:"READ_TIMEOUT"`
	WriteTimeout time.Duration `yaml:"write_timeout" env:"WRITE_TIMEOUT"`
	// PoolSize is the most connections to one node; 0 means ten a processor.
	PoolSize int `yaml:"pool_size" env:"POOL_SIZE"`
}

// Sentinel says which sentinels to ask for the master. Then the addresses of the servers themselves are not used.
type Sentinel struct {
	// Master is the name under which the sentinels watch the master; empty asks no sentinel.
	Master string `yaml:"master" env:"MASTER"`
	// Addresses are the sentinels' host:port; one that answers is enough.
	Addresses []string `yaml:"addresses" env:"ADDRESSES"`
	// Username, Password and PasswordFile are for the sentinels themselves.
	Username     string        `yaml:"username" env:"USERNAME"`
	Password     secure.Secret `yaml:"password" env:"PASSWORD" secret:"true"`
	PasswordFile string        `yaml:"password_file" env:"PASSWORD_FILE"`
}

// DefaultConfig is a single server on this machine.
func DefaultConfig() Config {
	return Config{
		Addresses:    []string{"127.0.0.1:6379"},
		Sentinel:     Sentinel{Addresses: []string{}},
		DialTimeout:  time.Second, // a machine that is gone refuses nothing: this is what it costs
		ReadTimeout:  3 * time.Second,
		WriteTimeout: 3 * time.Second,
	}
}

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	if len(c.Addresses) == 0 {
		return errors.New("addresses is empty: give at least one host:port")
	}
	if err := checkAddresses("addresses", c.Addresses); err != nil {
		return err
	}
	if c.DB < 0 {
		return fmt.Errorf("db is %d: give 0 or more", c.DB)
	}
	if c.DB != 0 && (c.Cluster || len(c.Addresses) > 1) {
		return fmt.Errorf("db is %d: a Redis Cluster has database 0 only; set 0", c.DB)
	}
	if err := c.validateAccess(); err != nil {
		return err
	}
	if c.PoolSize < 0 {
		return fmt.Errorf("pool_size is %d: give 0 (ten a processor) or more", c.PoolSize)
	}
	for _, t := range []struct {
		field string
		value time.Duration
	}{{"dial_timeout", c.DialTimeout}, {"read_timeout", c.ReadTimeout}, {"write_timeout", c.WriteTimeout}} {
		if t.value <= 0 {
			return fmt.Errorf("%s is %v: give a duration above zero, such as 3s", t.field, t.value)
		}
	}
	return nil
}

func (c Config) validateAccess() error {
	if err := c.TLS.Validate(); err != nil {
		return fmt.Errorf("tls.%w", err)
	}
	if err := secure.CheckSecret("password", c.Password, c.PasswordFile); err != nil {
		return err
	}
	if c.Username != "" && !c.Password.Set(c.PasswordFile) {
		return fmt.Errorf("password is empty but username is %q: give it in the environment, or name its file in password_file",
			c.Username)
	}
	return c.Sentinel.validate(c.Cluster)
}

func (s Sentinel) validate(cluster bool) error {
	switch {
	case s.Master == "" && (len(s.Addresses) > 0 || s.Username != "" || s.Password.Set(s.PasswordFile)):
		return errors.New("sentinel.master is empty but other settings of sentinel are not: name the master, or leave them empty")
	case s.Master == "":
		return nil
	case len(s.Addresses) == 0:
		return fmt.Errorf("sentinel.addresses is empty but sentinel.master is %q: give the sentinels' host:port", s.Master)
	case cluster:
		return errors.New("cluster is true and sentinel.master is set: a Redis Cluster has no sentinels, so keep one of the two")
	}
	if err := checkAddresses("sentinel.addresses", s.Addresses); err != nil {
		return err
	}
	if err := secure.CheckSecret("password", s.Password, s.PasswordFile); err != nil {
		return fmt.Errorf("sentinel.%w", err)
	}
	return nil
}

// checkAddresses shows no address in which a password may stand.
func checkAddresses(field string, addresses []string) error {
	for _, a := range addresses {
		switch {
		case a == "":
			return fmt.Errorf("%s has an empty entry: remove it, or give host:port", field)
		case strings.ContainsAny(a, "@/"):
			return fmt.Errorf("%s has an entry that is a URL (not shown): give host:port, and the user in username and password", field)
		}
	}
	return nil
}
