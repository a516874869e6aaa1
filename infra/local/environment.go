package local

import (
	"fmt"
	"strings"
)

// Variable is one of an environment.
type Variable struct{ Name, Value string }

// Env returns what points Freshet at the servers, over their open listeners or, for tests, what points the test suites at them.
func (s *Servers) Env(tests bool) []Variable {
	d := s.description
	if tests {
		return []Variable{
			{"FRESHET_TEST_KAFKA", d.Kafka.Plaintext},
			{"FRESHET_TEST_REDIS", d.Redis.Address},
			{"FRESHET_TEST_REDIS_CLUSTER", strings.Join(d.Redis.Cluster, ",")},
			{"FRESHET_TEST_MILVUS", d.Milvus.Address},
			{"FRESHET_TEST_REGISTRY", d.Registry.URL},
			{"FRESHET_TEST_SERVERS", s.dir},
		}
	}
	return []Variable{
		{"FRESHET_KAFKA_BROKERS", d.Kafka.Plaintext},
		{"FRESHET_REGISTRY_URL", d.Registry.URL},
		{"FRESHET_REDIS_ADDRESSES", d.Redis.Address},
		{"FRESHET_MILVUS_ADDRESS", d.Milvus.Address},
	}
}

// String is a line for a POSIX shell to evaluate.
func (v Variable) String() string {
	return fmt.Sprintf("export %s='%s'", v.Name, strings.ReplaceAll(v.Value, "'", `'\''`))
}
