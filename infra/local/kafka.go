package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// kafkaCluster is the id of the one-broker cluster; any 16 bytes in base64 will do.
const kafkaCluster = "ZnJlc2hldC1sb2NhbC0wMQ"

func (s *Servers) kafkaHome() string { return filepath.Join(s.dir, "install", "kafka-"+kafkaVersion) }

func (s *Servers) kafka() unit {
	return unit{
		name:     Kafka,
		ports:    s.ports(kafkaPlainPort, kafkaSSLPort, kafkaSASLPort, kafkaControllerPort),
		patience: 3 * time.Minute,
		install:  s.installKafka,
		prepare:  s.prepareKafka,
		probe:    s.probeKafka,
	}
}

// kafkaProperties is the broker's configuration.
func (s *Servers) kafkaProperties() string {
	var plainUsers strings.Builder
	for _, name := range users {
		fmt.Fprintf(&plainUsers, " user_%s=%q", name, s.description.Users[name].Password)
	}
	listeners := fmt.Sprintf("PLAINTEXT://%s,SSL://%s,SASL_SSL://%s", s.description.Kafka.Plaintext, s.description.Kafka.SSL,
		s.description.Kafka.SASL)
	controller := loopback(kafkaControllerPort + s.shift)
	lines := []string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.voters=1@" + controller,
		"listeners=" + listeners + ",CONTROLLER://" + controller,
		"advertised.listeners=" + listeners,
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
		"controller.listener.names=CONTROLLER",
		"inter.broker.listener.name=PLAINTEXT",
		"log.dirs=" + filepath.Join(s.folder(Kafka), "data"),
		"auto.create.topics.enable=false",
		"group.initial.rebalance.delay.ms=0",
		"default.replication.factor=1",
		"min.insync.replicas=1",
		// One partition for all groups, so that the probe's group speaks for every other after a restart.
		"offsets.topic.num.partitions=1",
		"offsets.topic.replication.factor=1",
		"transaction.state.log.num.partitions=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"share.coordinator.state.topic.num.partitions=1",
		"share.coordinator.state.topic.replication.factor=1",
		"share.coordinator.state.topic.min.isr=1",
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users=User:ANONYMOUS;User:" + admin,
		"allow.everyone.if.no.acl.found=false",
		"ssl.keystore.type=PEM",
		"ssl.keystore.location=" + s.kafkaKeystore(),
		"ssl.truststore.type=PEM",
		"ssl.truststore.location=" + s.description.CA,
		// A certificate's user is its common name, as in ACLs for the other listeners.
		"ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/",
		// Without a certificate one would be ANONYMOUS, who may do everything.
		"listener.name.ssl.ssl.client.auth=required",
		"listener.name.sasl_ssl.ssl.client.auth=none",
		"listener.name.sasl_ssl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		"listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required" +
			plainUsers.String() + ";",
		"listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=" + scramModule,
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=" + scramModule,
	}
	return strings.Join(lines, "\n") + "\n"
}

const scramModule = "org.apache.kafka.common.security.scram.ScramLoginModule required;"

// kafkaLogging sends the broker's log to its standard output.
const kafkaLogging = `status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
`

func (s *Servers) kafkaKeystore() string { return filepath.Join(s.folder(Kafka), "keystore.pem") }

func (s *Servers) kafkaCommand(options []string, class string, args ...string) []string {
	classes := filepath.Join(s.kafkaHome(), "libs", "*")
	line := append([]string{"java"}, options...)
	line = append(line, "-Dlog4j2.configurationFile="+filepath.Join(s.folder(Kafka), "log4j2.properties"), "-cp", classes, class)
	return append(line, args...)
}

func (s *Servers) prepareKafka(ctx context.Context) (command, error) {
	key, err := os.ReadFile(s.tlsFile("server.key"))
	if err != nil {
		return command{}, err
	}
	certificate, err := os.ReadFile(s.tlsFile("server.pem"))
	if err != nil {
		return command{}, err
	}
	properties := filepath.Join(s.folder(Kafka), "server.properties")
	err = errors.Join(
		writeFile(s.kafkaKeystore(), append(key, certificate...)),
		writeFile(properties, []byte(s.kafkaProperties())),
		writeFile(filepath.Join(s.folder(Kafka), "log4j2.properties"), []byte(kafkaLogging)))
	if err != nil {
		return command{}, err
	}
	data := filepath.Join(s.folder(Kafka), "data")
	// SCRAM users are made when the data folder is formatted: one that knows others begins anew.
	known, current := filepath.Join(s.folder(Kafka), "users"), strings.Join(users, "\n")
	if made, err := os.ReadFile(known); err != nil || string(made) != current {
		if err := os.RemoveAll(data); err != nil {
			return command{}, err
		}
	}
	if _, err := os.Stat(filepath.Join(data, "meta.properties")); errors.Is(err, fs.ErrNotExist) {
		format := s.kafkaCommand([]string{"-Xmx128m"}, "kafka.tools.StorageTool", s.formatArguments(properties)...)
		if err := execute(ctx, s.folder(Kafka), nil, format...); err != nil {
			return command{}, err
		}
		if err := writeFile(known, []byte(current)); err != nil {
			return command{}, err
		}
	}
	return command{
		args: s.kafkaCommand([]string{"-Xms256m", "-Xmx512m"}, "kafka.Kafka", properties),
		dir:  s.folder(Kafka),
	}, nil
}

// formatArguments make the storage tool prepare the data folder and the SCRAM users, which Kafka keeps in its own log.
func (s *Servers) formatArguments(properties string) []string {
	args := []string{"format", "--ignore-formatted", "--cluster-id", kafkaCluster, "--config", properties}
	for _, name := range users {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, name, s.description.Users[name].Password))
		}
	}
	return args
}

// probeKafka asks the coordinator of a group of its own for its offsets, which makes the broker create the topic of all groups'
// offsets and answers once that is loaded, and lets the secured listeners authenticate somebody.
func (s *Servers) probeKafka(ctx context.Context) error {
	if err := askKafka(ctx, kgo.SeedBrokers(s.description.Kafka.Plaintext)); err != nil {
		return err
	}
	trusting, err := trust(s.description.CA)
	if err != nil {
		return err
	}
	user := s.description.Users[admin]
	return askKafka(ctx, kgo.SeedBrokers(s.description.Kafka.SASL), kgo.DialTLSConfig(trusting),
		kgo.SASL(plain.Auth{User: user.Name, Pass: user.Password}.AsMechanism()))
}

func askKafka(ctx context.Context, options ...kgo.Opt) error {
	client, err := kgo.NewClient(append(options, kgo.RequestRetries(0), kgo.RetryTimeout(probeTimeout))...)
	if err != nil {
		return err
	}
	defer client.Close()
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Group = "freshet.local.probe"
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = request.Group
	request.Groups = append(request.Groups, group)
	answer, err := request.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	for _, group := range answer.Groups {
		if err := kerr.ErrorForCode(group.ErrorCode); err != nil {
			return err
		}
	}
	return kerr.ErrorForCode(answer.ErrorCode)
}
