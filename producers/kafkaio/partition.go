package kafkaio

import "encoding/binary"

// JavaPartition returns the partition that Java's default partitioner gives a key in a topic of so many partitions:
// murmur2 of the key, its sign bit cleared, modulo the number of partitions (Kafka's Utils.murmur2 and
// BuiltInPartitioner.partitionForKey). Producers in other languages thus keep a user on the same partition.
func JavaPartition(key []byte, partitions int) int32 {
	return int32((murmur2(key) & 0x7fffffff) % uint32(partitions))
}

// murmur2 is Austin Appleby's MurmurHash2 with Kafka's seed.
func murmur2(data []byte) uint32 {
	const (
		seed = 0x9747b28c
		mix  = 0x5bd1e995
	)
	h := seed ^ uint32(len(data))
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * mix
		k ^= k >> 24
		h = h*mix ^ k*mix
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * mix
	}
	h ^= h >> 13
	h *= mix
	return h ^ h>>15
}
