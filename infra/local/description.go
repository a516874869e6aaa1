package local

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The ports, chosen so that an embedded stack or servers on their usual ports may run beside, and below those that systems give
// to outgoing connections, which is where a Redis Cluster would put its bus.
const (
	kafkaPlainPort, kafkaSSLPort, kafkaSASLPort, kafkaControllerPort = 29092, 29093, 29094, 29095
	redisPort, redisTLSPort, sentinelPort, clusterPort, busPort      = 26380, 26381, 26390, 26401, 26501
	clusterNodes                                                     = 3
	// A Milvus takes a block of ports from these on: see milvusPorts.
	milvusPort, milvusSecurePort  = 29530, 29630
	registryPort, registryTLSPort = 28081, 28443
)

// User is somebody whom the secured listeners know: by password, or at Kafka's SSL listener by certificate.
type User struct {
	Name     string `json:"name"`
	Password string `json:"password"`
	// Certificate and Key are PEM files; the certificate's common name is the user's.
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

// Description says where each server listens and how to be let in. It is what servers.json holds.
type Description struct {
	// CA is the PEM file of the authority that signed every certificate here but StrangerCA's.
	CA string `json:"ca"`
	// StrangerCA and Stranger are an authority that no server trusts and a client certificate of it.
	StrangerCA string `json:"stranger_ca"`
	Stranger   User   `json:"stranger"`
	// Users are known to Kafka's SSL listener (certificate, required), to its SASL_SSL listener (PLAIN, SCRAM-SHA-256 and
	// SCRAM-SHA-512 with the password) and by name and password to redis-tls. "admin" may do everything; "nobody" nothing; the
	// others have what ACLs grant them: at Kafka none to begin with, at Redis none.
	Users map[string]User `json:"users"`

	Kafka struct {
		Plaintext string `json:"plaintext"`
		SSL       string `json:"ssl"`
		SASL      string `json:"sasl_ssl"`
	} `json:"kafka"`
	Redis struct {
		Address string `json:"address"`
		// TLS refuses the default user; a client certificate is welcome and not required.
		TLS string `json:"tls"`
		// Sentinel watches Address under the name Master.
		Sentinel string   `json:"sentinel"`
		Master   string   `json:"master"`
		Cluster  []string `json:"cluster"`
	} `json:"redis"`
	Milvus struct {
		Address string `json:"address"`
		// Secure wants TLS and the user Root.
		Secure string `json:"secure"`
		Root   User   `json:"root"`
	} `json:"milvus"`
	Registry struct {
		URL string `json:"url"`
		// TLS is the same registry by https.
		TLS string `json:"tls"`
	} `json:"registry"`
}

const (
	admin  = "admin"
	nobody = "nobody"
	master = "freshet"
)

// users are one for each role of `freshet run`, who trains from the topics, the product's app that publishes and asks, and who makes
// topics and rebuilds.
var users = []string{admin, "interactions", "catalogue", "recommendations", "recall", "trainer", "app", "operator", nobody}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// describe reads servers.json, or makes it up with new passwords. What a version of this package added is filled in; passwords
// stay, since servers with data know them.
func describe(dir string, shift int) (Description, error) {
	at := func(port int) string { return loopback(port + shift) }
	var d Description
	path := filepath.Join(dir, "servers.json")
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		if err := json.Unmarshal(text, &d); err != nil {
			return d, fmt.Errorf("reading %s: %w; delete it, and the servers' data with it, to begin anew", path, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return d, fmt.Errorf("reading %s: %w", path, err)
	}
	d.CA, d.StrangerCA = filepath.Join(dir, "tls", "ca.pem"), filepath.Join(dir, "tls", "stranger-ca.pem")
	d.Stranger = userIn(dir, "stranger", d.Stranger)
	if d.Users == nil {
		d.Users = map[string]User{}
	}
	for _, name := range users {
		d.Users[name] = userIn(dir, name, d.Users[name])
	}
	d.Kafka.Plaintext, d.Kafka.SSL, d.Kafka.SASL = at(kafkaPlainPort), at(kafkaSSLPort), at(kafkaSASLPort)
	d.Redis.Address, d.Redis.TLS = at(redisPort), at(redisTLSPort)
	d.Redis.Sentinel, d.Redis.Master = at(sentinelPort), master
	d.Redis.Cluster = nil
	for i := range clusterNodes {
		d.Redis.Cluster = append(d.Redis.Cluster, at(clusterPort+i))
	}
	d.Milvus.Address, d.Milvus.Secure = at(milvusPort), at(milvusSecurePort)
	d.Milvus.Root = User{Name: "root", Password: d.Milvus.Root.Password}
	if d.Milvus.Root.Password == "" {
		d.Milvus.Root.Password = newPassword()
	}
	d.Registry.URL = "http://" + at(registryPort) + registryPath
	d.Registry.TLS = "https://" + at(registryTLSPort) + registryPath
	if err := writeJSON(path, d); err != nil {
		return d, fmt.Errorf("writing %s: %w", path, err)
	}
	return d, nil
}

func userIn(dir, name string, known User) User {
	if known.Password == "" {
		known.Password = newPassword()
	}
	known.Name = name
	known.Certificate, known.Key = filepath.Join(dir, "tls", name+".pem"), filepath.Join(dir, "tls", name+".key")
	return known
}

// newPassword needs no quoting in any of the files that it goes to, and is short enough for Milvus, which takes 72 bytes.
func newPassword() string { return strings.ToLower(rand.Text()) }
