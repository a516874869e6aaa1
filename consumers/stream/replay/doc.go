// Package replay reads topics from their first records on, outside of any group: nothing is committed, and nobody's partitions move.
//
// Scan reads a topic partition by partition. Snapshot reads what a topic held at one moment in the order of its records' times, as
// often as needed. Replay hands such records to the Handler of a role, and follows the topic. Timeline reads several topics in the order
// of broker time, up to one moment after the other.
//
// It may import consumers/stream/partition and producers/kafkaio, and nothing else of the project. What always holds in it:
//
//   - Everything reads committed, and ends with what the topic held as of the call. A reader has its end before an open transaction.
//   - Records of one partition come in the order of their offsets, whatever their times.
//   - Where one partition cannot be read, nothing more of the others is handed over. Brokers that refuse us end the reading, brokers
//     that are away are waited for.
//   - A Replay's handler is tried again as it is in its role, by the same code. What is a dead letter there is left out here.
//   - What is fetched ahead of the reader is bounded, over all partitions together.
package replay
