// Package streamtest gives the tests of stream, stream/partition and stream/replay a broker with a topic, and writes to it. It may import
// producers/kafkaio and infra/embedded/servertest.
package streamtest
