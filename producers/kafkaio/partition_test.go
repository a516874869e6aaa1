package kafkaio

import (
	"fmt"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
)

// The hashes are those of UtilsTest.testMurmur2 in Apache Kafka.
func TestMurmur2EqualsJava(t *testing.T) {
	for key, want := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		require.Equal(t, want, int32(murmur2([]byte(key))), key)
	}
}

func TestJavaPartition(t *testing.T) {
	for _, c := range []struct {
		key        string
		partitions int
		want       int32
	}{
		// toPositive(hash) % partitions of the hashes above, where toPositive clears the sign bit.
		{"21", 8, (-973932308 & 0x7fffffff) % 8},
		{"foobar", 12, (-790332482 & 0x7fffffff) % 12},
		{"abc", 7, 479470107 % 7},
		{"abc", 1, 0},
	} {
		require.Equal(t, c.want, JavaPartition([]byte(c.key), c.partitions), "%s of %d", c.key, c.partitions)
	}
}

func TestJavaPartitionEqualsKafkaGo(t *testing.T) {
	partitions := make([]int, 13)
	for i := range partitions {
		partitions[i] = i
	}
	for i := range 1000 {
		key := fmt.Appendf(nil, "%x", i*i*i)[:1+i%5%len(fmt.Sprintf("%x", i*i*i))]
		want := kafka.Murmur2Balancer{}.Balance(kafka.Message{Key: key}, partitions...)
		require.Equal(t, int32(want), JavaPartition(key, len(partitions)), "%q", key)
	}
}
