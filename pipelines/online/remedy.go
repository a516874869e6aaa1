package online

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/schemas/secure"
	"github.com/freshet/freshet/services/redisdb"
)

// peer is a server as an operator knows it: by its section of the settings.
type peer struct {
	name    string
	section string
	address string // the setting, below the section
	user    string // the section of username and password, below the section
	extra   string // one more setting that names the user
}

var (
	peerKafka    = peer{name: "Kafka", section: "kafka", address: "brokers", user: "sasl.", extra: "sasl.mechanism"}
	peerRedis    = peer{name: "Redis", section: "redis", address: "addresses"}
	peerMilvus   = peer{name: "Milvus", section: "milvus", address: "address", extra: "token"}
	peerRegistry = peer{name: "the schema registry", section: "registry", address: "url"}
)

// redisPeer is the servers, or the sentinels where those are asked.
func redisPeer(s settings.Settings) peer {
	p := peerRedis
	if s.Redis.Sentinel.Master != "" {
		p.name, p.address, p.extra = "the sentinels of Redis", "sentinel.addresses", "sentinel.password"
	}
	return p
}

// explainRedis adds what an operator can do about an error of connecting to Redis.
func explainRedis(s settings.Settings, err error) error {
	p := redisPeer(s)
	if other, ok := errors.AsType[*redisdb.ModeError](err); ok {
		return fmt.Errorf("%w; remedy: set %s", err, map[string]string{
			"cluster":  p.setting("cluster") + " to true",
			"sentinel": p.settings("sentinel.addresses", "sentinel.master"),
		}[other.Mode])
	}
	if s.Redis.Sentinel.Master != "" && redisdb.IsUnknownMaster(err) {
		return fmt.Errorf("%w; remedy: the sentinels watch no master named %q: correct %s", err, s.Redis.Sentinel.Master,
			p.setting("sentinel.master"))
	}
	return p.explain(err, redisdb.ProblemOf(err))
}

// Explain adds what an operator can do about err, where it is about reaching Kafka or the schema registry, and returns any
// other error as it is. It is for commands that need no other server.
func Explain(err error) error {
	if _, ok := errors.AsType[*schemas.RegistryError](err); ok {
		return peerRegistry.explain(err, secure.ProblemOf(err))
	}
	problem := kafkaio.ProblemOf(err)
	if err == nil || problem == secure.Unclear && !kafkaio.HungUp(err) {
		return err
	}
	return peerKafka.explain(err, problem)
}

// setting names a setting as it is in the file and as it is in the environment.
func (p peer) setting(name string) string {
	path := p.section + "." + name
	return fmt.Sprintf("%s (%s%s)", path, settings.EnvPrefix, strings.ToUpper(strings.ReplaceAll(path, ".", "_")))
}

// settings names several settings; only the first also as a variable, by which the others can be guessed.
func (p peer) settings(names ...string) string {
	parts := []string{p.setting(names[0])}
	for _, name := range names[1:] {
		parts = append(parts, p.section+"."+name)
	}
	return strings.Join(parts, ", ")
}

// explain adds what an operator can do about an error of the peer.
func (p peer) explain(err error, problem secure.Problem) error {
	return fmt.Errorf("%w; remedy: %s", err, p.remedy(err, problem))
}

func (p peer) remedy(err error, problem secure.Problem) string {
	switch problem {
	case secure.Unreachable:
		return fmt.Sprintf("start %s there, or correct %s", p.name, p.setting(p.address))
	case secure.BadFile:
		if file, ok := errors.AsType[*secure.FileError](err); ok {
			return "mend the file, or correct " + p.setting(file.Setting)
		}
		return "mend the file that " + p.section + " names"
	case secure.NoTLS:
		return fmt.Sprintf("give a port that speaks TLS in %s, or set %s to false", p.setting(p.address), p.setting("tls.enabled"))
	case secure.Untrusted:
		return "name the authority that signed the server's certificate in " + p.setting("tls.ca_file")
	case secure.WrongName:
		return fmt.Sprintf("connect to a name that the certificate bears, or give that name in %s", p.setting("tls.server_name"))
	case secure.Expired:
		return "renew the server's certificate, or set this machine's clock"
	case secure.ClientCertificate:
		return "give a certificate that the server accepts in " + p.settings("tls.cert_file", "tls.key_file")
	case secure.Credentials:
		names := []string{p.user + "password", p.user + "password_file", p.user + "username"}
		if p.extra != "" {
			names = append(names, p.extra)
		}
		return "correct " + p.settings(names...)
	case secure.Denied:
		return "grant the user what infra/permissions lists for this role, or correct " + p.setting(p.user+"username")
	case secure.Unclear:
	}
	names := []string{"tls.enabled", p.user + "username"}
	if p == peerKafka { // a listener with SASL hangs up on whoever asks for anything else first
		names = []string{p.extra, "tls.enabled"}
	}
	return fmt.Sprintf("see that %s is right and that the server there wants what %s says", p.setting(p.address), p.settings(names...))
}

// explainedRegistry is a registry whose errors name the remedy; it is first asked when a role starts.
type explainedRegistry struct{ schemas.Registry }

// Register implements schemas.Registry.
func (r explainedRegistry) Register(ctx context.Context, subject, schema string) (int, error) {
	id, err := r.Registry.Register(ctx, subject, schema)
	if err != nil {
		return id, peerRegistry.explain(err, secure.ProblemOf(err))
	}
	return id, nil
}
