package local

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func open(t *testing.T) *Servers {
	t.Helper()
	s, err := Open(t.TempDir())
	require.NoError(t, err)
	return s
}

func TestOpenKeepsPasswordsAndCertificates(t *testing.T) {
	first := open(t)
	certificate, err := os.ReadFile(first.tlsFile("server.pem"))
	require.NoError(t, err)
	again, err := Open(first.Dir())
	require.NoError(t, err)
	require.Equal(t, first.Description(), again.Description())
	same, err := os.ReadFile(first.tlsFile("server.pem"))
	require.NoError(t, err)
	require.Equal(t, certificate, same)

	// A missing certificate has all made anew, since the authority's key is what it is signed with.
	require.NoError(t, os.Remove(first.tlsFile("app.key")))
	_, err = Open(first.Dir())
	require.NoError(t, err)
	other, err := os.ReadFile(first.tlsFile("server.pem"))
	require.NoError(t, err)
	require.NotEqual(t, certificate, other)
}

func TestServersFileIsForItsOwnerAlone(t *testing.T) {
	s := open(t)
	require.NoError(t, filepath.WalkDir(s.Dir(), func(path string, entry os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		if !strings.HasSuffix(path, ".lock") && path != s.Dir() {
			require.Zero(t, info.Mode().Perm()&0o077, path)
		}
		return nil
	}))
	var read Description
	text, err := os.ReadFile(filepath.Join(s.Dir(), "servers.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &read))
	require.Equal(t, s.Description(), read)
	require.Len(t, read.Users, len(users))
	passwords := map[string]bool{read.Milvus.Root.Password: true}
	for _, user := range read.Users {
		passwords[user.Password] = true
	}
	require.Len(t, passwords, len(users)+1, "each has a password of its own")
}

func TestABrokenServersFileNamesTheRemedy(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "servers.json"), []byte("{"), 0o600))
	_, err := Open(dir)
	require.ErrorContains(t, err, "servers.json")
	require.ErrorContains(t, err, "delete it")
}

// TestCertificates shakes hands with what the servers and the users are given.
func TestCertificates(t *testing.T) {
	s := open(t)
	server, err := tls.LoadX509KeyPair(s.tlsFile("server.pem"), s.tlsFile("server.key"))
	require.NoError(t, err)
	trusted, err := trust(s.description.CA)
	require.NoError(t, err)
	for _, c := range []struct {
		name, authority string
		client          User
		refused         string
	}{
		{"a user", s.description.CA, s.description.Users["app"], ""},
		{"a client of another authority", s.description.CA, s.description.Stranger, "didn't provide a certificate"},
		{"a client that trusts another authority", s.description.StrangerCA, s.description.Users["app"], "unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mine, err := tls.LoadX509KeyPair(c.client.Certificate, c.client.Key)
			require.NoError(t, err)
			require.Equal(t, c.client.Name, mine.Leaf.Subject.CommonName)
			theirs, err := trust(c.authority)
			require.NoError(t, err)
			theirs.Certificates, theirs.ServerName = []tls.Certificate{mine}, "127.0.0.1"
			here, there := net.Pipe()
			defer here.Close()
			answered := make(chan error, 1)
			go func() {
				defer there.Close()
				answered <- tls.Server(there, &tls.Config{
					Certificates: []tls.Certificate{server}, ClientCAs: trusted.RootCAs, ClientAuth: tls.RequireAndVerifyClientCert,
					MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, // 1.3 tells the client of a refusal later
				}).HandshakeContext(t.Context())
			}()
			err = tls.Client(here, theirs).HandshakeContext(t.Context())
			here.Close()
			both := fmt.Sprint(err, <-answered)
			if c.refused == "" {
				require.Equal(t, "<nil> <nil>", both)
				return
			}
			require.Contains(t, both, c.refused)
		})
	}
	require.NotEmpty(t, server.Leaf.IPAddresses)
	require.Contains(t, server.Leaf.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
}

func TestKafkaProperties(t *testing.T) {
	s := open(t)
	settings := map[string]string{}
	for line := range strings.Lines(s.kafkaProperties()) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "=")
		require.True(t, found, line)
		require.NotContains(t, settings, name)
		settings[name] = value
	}
	require.Equal(t, "PLAINTEXT://127.0.0.1:29092,SSL://127.0.0.1:29093,SASL_SSL://127.0.0.1:29094", settings["advertised.listeners"])
	require.Equal(t, "false", settings["allow.everyone.if.no.acl.found"])
	require.Equal(t, "required", settings["listener.name.ssl.ssl.client.auth"])
	for name, user := range s.description.Users {
		require.Contains(t, settings["listener.name.sasl_ssl.plain.sasl.jaas.config"], fmt.Sprintf(`user_%s="%s"`, name, user.Password))
		require.Contains(t, s.formatArguments("x"), fmt.Sprintf("SCRAM-SHA-512=[name=%s,password=%s]", name, user.Password))
	}
}

func TestMilvusConfig(t *testing.T) {
	s := open(t)
	template := "etcd:\n  endpoints: localhost:{{ etcd_port(int): 2379 }}\n  data:\n    dir: {{ etcd_data_dir }}\nproxy:\n" +
		"  timeTickInterval: 200\n  ip: # the first\n  port: {{ proxy_port(int): 19530 }}\ntls:\n  serverPemPath: {{ server_pem_path: server.pem }}\n"
	text, err := s.milvusConfig([]byte(template), MilvusSecure, milvusSecurePort, map[string]any{"common.security.tlsMode": 1})
	require.NoError(t, err)
	var config map[string]map[string]any
	require.NoError(t, yaml.Unmarshal(text, &config))
	require.Equal(t, map[string]any{"timeTickInterval": 50, "ip": "127.0.0.1", "port": 29630}, config["proxy"])
	require.Equal(t, "localhost:29650", config["etcd"]["endpoints"])
	require.Equal(t, map[string]any{"dir": filepath.Join(s.Dir(), MilvusSecure, "data", "etcd")}, config["etcd"]["data"])
	require.Equal(t, "server.pem", config["tls"]["serverPemPath"])
	require.Equal(t, map[string]any{"tlsMode": 1}, config["common"]["security"])

	_, err = s.milvusConfig([]byte("proxy: none\n"), Milvus, milvusPort, nil)
	require.ErrorContains(t, err, "nothing inside")
}

func TestPortsAreNobodyElses(t *testing.T) {
	usual := []int{2379, 2380, 6379, 8080, 8081, 9091, 9092, 9093, 19530, 26379}
	const firstOutgoing = 32768 // Linux gives ports from here on to outgoing connections
	beside, err := openAt(t.TempDir(), 2000)
	require.NoError(t, err)
	taken := map[int]string{}
	for _, u := range append(open(t).units, beside.units...) {
		for _, port := range u.ports {
			require.NotContains(t, taken, port, u.name)
			require.NotContains(t, usual, port, u.name)
			require.Less(t, port, firstOutgoing, u.name)
			taken[port] = u.name
		}
	}
}

func TestRedisUsers(t *testing.T) {
	s := open(t)
	text := s.redisUsers()
	require.Contains(t, text, "user default off")
	require.Equal(t, len(users)+1, strings.Count(text, "\n"))
	require.Equal(t, 1, strings.Count(text, "+@all"), "the admin's")
	for _, user := range s.description.Users {
		require.NotContains(t, text, user.Password, "hashes only")
	}
}

func TestEnv(t *testing.T) {
	s := open(t)
	var lines []string
	for _, variable := range append(s.Env(true), s.Env(false)...) {
		lines = append(lines, variable.String())
	}
	require.Equal(t, []string{
		"export FRESHET_TEST_KAFKA='127.0.0.1:29092'",
		"export FRESHET_TEST_REDIS='127.0.0.1:26380'",
		"export FRESHET_TEST_REDIS_CLUSTER='127.0.0.1:26401,127.0.0.1:26402,127.0.0.1:26403'",
		"export FRESHET_TEST_MILVUS='127.0.0.1:29530'",
		"export FRESHET_TEST_REGISTRY='http://127.0.0.1:28081/apis/ccompat/v7'",
		"export FRESHET_TEST_SERVERS='" + s.Dir() + "'",
		"export FRESHET_KAFKA_BROKERS='127.0.0.1:29092'",
		"export FRESHET_REGISTRY_URL='http://127.0.0.1:28081/apis/ccompat/v7'",
		"export FRESHET_REDIS_ADDRESSES='127.0.0.1:26380'",
		"export FRESHET_MILVUS_ADDRESS='127.0.0.1:29530'",
	}, lines)
	require.Equal(t, `export X='it'\''s'`, Variable{"X", "it's"}.String())
}

func TestChoose(t *testing.T) {
	s := open(t)
	for _, c := range []struct {
		names, want []string
		needs       bool
	}{
		{[]string{RedisSentinel}, []string{Redis, RedisSentinel}, true},
		{[]string{RedisSentinel}, []string{RedisSentinel}, false},
		{[]string{RedisCluster, Kafka}, []string{Kafka, "redis-cluster-1", "redis-cluster-2", "redis-cluster-3"}, true},
		{[]string{"redis-cluster-2"}, []string{"redis-cluster-2"}, true},
	} {
		chosen, err := s.choose(c.names, c.needs)
		require.NoError(t, err)
		var got []string
		for _, u := range chosen {
			got = append(got, u.name)
		}
		require.Equal(t, c.want, got)
	}
	all, err := s.choose(nil, true)
	require.NoError(t, err)
	require.Len(t, all, len(s.units))
	_, err = s.choose([]string{"mysql"}, true)
	require.ErrorContains(t, err, `server "mysql" is not known: use one of kafka, milvus`)
}

// sleeper is a server that any machine has: it listens on nothing (port 0 is always free), and its probe looks for a file.
func sleeper(s *Servers, script string) unit {
	const name = "one"
	return unit{
		name: name, ports: []int{0}, patience: 20 * time.Second,
		install: func(context.Context) error { return nil },
		prepare: func(context.Context) (command, error) {
			return command{args: []string{"sh", "-c", script}, dir: s.folder(name)}, nil
		},
		probe: func(context.Context) error {
			_, err := os.Stat(filepath.Join(s.folder(name), "serves"))
			return err
		},
	}
}

const obedient = "touch serves; while :; do sleep 0.05; done"

func TestLifeOfAProcess(t *testing.T) {
	s := open(t)
	var progress strings.Builder
	s.Progress = &progress
	s.units = []unit{sleeper(s, obedient)}
	ctx := t.Context()
	t.Cleanup(func() { require.NoError(t, s.Kill("one")) })
	state := func() State {
		states, err := s.Status(ctx)
		require.NoError(t, err)
		return states[0]
	}
	require.Equal(t, "down", state().Condition)

	require.NoError(t, s.Up(ctx))
	first := state()
	require.Equal(t, "running", first.Condition)
	require.NoError(t, first.Problem)
	require.NoError(t, s.Up(ctx), "twice is fine")
	require.Equal(t, first.PID, state().PID)
	require.Equal(t, 1, strings.Count(progress.String(), "one: starting"))

	require.NoError(t, s.Pause("one"))
	require.Eventually(t, func() bool { return state().Condition == "paused" }, 5*time.Second, time.Millisecond)
	require.Error(t, state().Problem)
	require.NoError(t, s.Up(ctx), "what is paused goes on")
	require.Eventually(t, func() bool { return state().Condition == "running" }, 5*time.Second, time.Millisecond)

	require.NoError(t, s.Kill("one"))
	require.Equal(t, "down", state().Condition)
	require.NoError(t, s.Kill("one"), "twice is fine")
	require.ErrorContains(t, s.Resume("one"), "does not run")

	require.NoError(t, s.Start(ctx, "one"))
	require.NotEqual(t, first.PID, state().PID)
	require.NoError(t, s.Pause("one"))
	require.NoError(t, s.Stop("one"), "a paused one stops too")
	require.Equal(t, "down", state().Condition)
	require.NoFileExists(t, s.recordPath("one"))
	require.NoError(t, s.Wipe(ctx))
	require.NoDirExists(t, s.folder("one"))
}

func TestARecordOfAnotherProcessIsNone(t *testing.T) {
	s := open(t)
	s.units = []unit{sleeper(s, obedient)}
	t.Cleanup(func() { require.NoError(t, s.Kill("one")) })
	// This test's own process bears the id by now: it must neither be taken for the server nor be killed.
	require.NoError(t, writeJSON(s.recordPath("one"), process{PID: os.Getpid(), Birth: "long ago"}))
	require.NoError(t, s.Kill("one"))
	require.NoError(t, writeJSON(s.recordPath("one"), process{PID: os.Getpid(), Birth: "long ago"}))
	require.NoError(t, s.Up(t.Context()))
	p, condition, err := s.find("one")
	require.NoError(t, err)
	require.Equal(t, running, condition)
	require.NotEqual(t, os.Getpid(), p.PID)
}

func TestAServerThatEndsTellsItsLastWords(t *testing.T) {
	s := open(t)
	s.units = []unit{sleeper(s, "echo no such disk >&2; exit 3")}
	err := s.Up(t.Context())
	require.ErrorContains(t, err, "no such disk")
	require.ErrorContains(t, err, s.logPath("one"))
}

func TestAServerThatNeverServesIsStoppedAgain(t *testing.T) {
	s := open(t)
	u := sleeper(s, "while :; do sleep 0.05; done")
	u.patience = 200 * time.Millisecond
	s.units = []unit{u}
	require.ErrorContains(t, s.Up(t.Context()), "waiting for one to serve")
	_, condition, err := s.find("one")
	require.NoError(t, err)
	require.Equal(t, gone, condition)
}

func TestATakenPortIsNamed(t *testing.T) {
	s := open(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	u := sleeper(s, obedient)
	u.ports = []int{listener.Addr().(*net.TCPAddr).Port}
	s.units = []unit{u}
	require.ErrorContains(t, s.Up(t.Context()), fmt.Sprintf("stop what listens on port %d", u.ports[0]))
}

func TestAnInstallationThatWasCutShortIsNone(t *testing.T) {
	s := open(t)
	folder := filepath.Join(s.Dir(), "install", "x")
	fill := func(err error) func(context.Context, string) error {
		return func(_ context.Context, into string) error {
			require.NoError(t, os.WriteFile(filepath.Join(into, "file"), nil, 0o600))
			return err
		}
	}
	require.ErrorIs(t, s.install(t.Context(), folder, "x", fill(context.Canceled)), context.Canceled)
	require.NoDirExists(t, folder)
	require.NoError(t, s.install(t.Context(), folder, "x", fill(nil)))
	require.FileExists(t, filepath.Join(folder, "file"))
	require.NoError(t, s.install(t.Context(), folder, "x", fill(context.Canceled)), "once is enough")
}

func TestOneAtATime(t *testing.T) {
	s := open(t)
	unlock, err := s.lock(t.Context(), "servers")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Down(ctx), context.DeadlineExceeded)
	unlock()
	require.NoError(t, s.Down(t.Context()))
}

// TestRealServers starts what users run, in a folder of its own that borrows the installations of the usual one, on ports beside
// the usual ones.
func TestRealServers(t *testing.T) {
	if os.Getenv("FRESHET_TEST_LOCAL") != "1" {
		t.Skip("FRESHET_TEST_LOCAL=1 starts and kills real servers on their ports, which takes a minute and 2 GB")
	}
	usual, err := DefaultDir()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(usual, "install"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(usual, "install"), filepath.Join(dir, "install")))
	s, err := openAt(dir, 2000)
	require.NoError(t, err)
	s.Progress = t.Output()
	t.Cleanup(func() { require.NoError(t, s.Down(context.Background())) })
	require.NoError(t, s.Up(t.Context()))
	allServe := func(step string) {
		states, err := s.Status(t.Context())
		require.NoError(t, err)
		for _, state := range states {
			require.NoError(t, state.Problem, "%s: %s", step, state.Name)
			require.NotZero(t, state.PID, "%s: %s", step, state.Name)
		}
	}
	allServe("up")
	require.NoError(t, s.Up(t.Context()))
	for _, name := range slices.DeleteFunc(s.Names(), func(name string) bool { return strings.HasPrefix(name, "redis-cluster-") }) {
		require.NoError(t, s.Kill(name))
	}
	require.NoError(t, s.Up(t.Context()), "after a crash of all")
	allServe("after a crash of all")
	require.NoError(t, s.Kill("redis-cluster-3"))
	require.NoError(t, s.Start(t.Context(), "redis-cluster-3"))
	require.NoError(t, s.Pause(Redis))
	require.NoError(t, s.Up(t.Context(), Redis))
	require.NoError(t, s.Stop(Milvus))
	require.NoError(t, s.Start(t.Context(), Milvus))
	allServe("after all of that")
	require.NoError(t, s.Down(t.Context()))
	for _, u := range s.units {
		for _, port := range u.ports {
			_, err := net.DialTimeout("tcp", loopback(port), time.Second)
			require.Error(t, err, "%s still listens on %d", u.name, port)
		}
	}
}
