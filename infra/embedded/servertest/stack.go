package servertest

import "testing"

// Stack is all servers of a test.
type Stack struct {
	Kafka  *Kafka
	Redis  *Redis
	Milvus *Milvus
}

// StartStack returns servers for the test.
func StartStack(t testing.TB) *Stack {
	t.Helper()
	return &Stack{Kafka: StartKafka(t), Redis: StartRedis(t), Milvus: StartMilvus(t)}
}
