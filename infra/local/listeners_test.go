package local

import (
	"context"
	"crypto/tls"
	"os"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"google.golang.org/grpc/credentials"
)

// openRunning opens the servers that a shell has started, by the environment of the test suites.
func openRunning(t *testing.T) *Servers {
	t.Helper()
	dir := os.Getenv("FRESHET_TEST_SERVERS")
	if dir == "" {
		t.Skip("FRESHET_TEST_SERVERS names no folder of running servers: see go run ./infra/local/cmd env --tests")
	}
	s, err := Open(dir)
	require.NoError(t, err)
	return s
}

// bearing is the TLS configuration of a client with a user's certificate, shown whatever the server asks for.
func bearing(t *testing.T, ca string, user User) *tls.Config {
	t.Helper()
	config, err := trust(ca)
	require.NoError(t, err)
	if user.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(user.Certificate, user.Key)
		require.NoError(t, err)
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return config
}

func TestKafkaLetsInWhoItShould(t *testing.T) {
	d := openRunning(t).Description()
	app, stranger := d.Users["app"], User{Name: "app", Password: "wrong"}
	mechanisms := func(u User) []sasl.Mechanism {
		return []sasl.Mechanism{
			plain.Auth{User: u.Name, Pass: u.Password}.AsMechanism(),
			scram.Auth{User: u.Name, Pass: u.Password}.AsSha256Mechanism(),
			scram.Auth{User: u.Name, Pass: u.Password}.AsSha512Mechanism(),
		}
	}
	ask := func(address string, config *tls.Config, mechanism ...sasl.Mechanism) error {
		client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.DialTLSConfig(config), kgo.SASL(mechanism...), kgo.RequestRetries(0))
		require.NoError(t, err)
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), probeTimeout)
		defer cancel()
		return client.Ping(ctx)
	}
	require.NoError(t, ask(d.Kafka.SSL, bearing(t, d.CA, app)))
	require.Error(t, ask(d.Kafka.SSL, bearing(t, d.CA, User{})), "no certificate")
	require.Error(t, ask(d.Kafka.SSL, bearing(t, d.CA, d.Stranger)), "another authority's certificate")
	require.ErrorContains(t, ask(d.Kafka.SSL, bearing(t, d.StrangerCA, app)), "unknown authority")
	for i := range mechanisms(app) {
		require.NoError(t, ask(d.Kafka.SASL, bearing(t, d.CA, User{}), mechanisms(app)[i]), mechanisms(app)[i].Name())
		require.Error(t, ask(d.Kafka.SASL, bearing(t, d.CA, User{}), mechanisms(stranger)[i]), mechanisms(app)[i].Name())
	}
}

func TestRedisLetsInWhoItShould(t *testing.T) {
	d := openRunning(t).Description()
	get := func(user User) error {
		_, err := redisAt{d.Redis.TLS, bearing(t, d.CA, User{}), user.Name, user.Password}.call(t.Context(), "GET", "x")
		return err
	}
	require.NoError(t, get(d.Users[admin]))
	require.ErrorContains(t, get(d.Users[nobody]), "NOPERM")
	require.ErrorContains(t, get(User{Name: admin, Password: "wrong"}), "WRONGPASS")
	require.ErrorContains(t, get(User{}), "NOAUTH")
}

func TestMilvusLetsInWhoItShould(t *testing.T) {
	d := openRunning(t).Description()
	list := func(user User) error {
		transport := credentials.NewTLS(bearing(t, d.CA, User{}))
		return dialMilvus(d.Milvus.Secure, transport, func(client milvuspb.MilvusServiceClient) error {
			answer, err := client.ShowCollections(as(t.Context(), user.Name, user.Password), &milvuspb.ShowCollectionsRequest{})
			return refusal(answer.GetStatus(), err)
		})
	}
	require.NoError(t, list(d.Milvus.Root))
	require.Error(t, list(User{Name: "root", Password: initialPassword}), "the password that everybody knows")
}
