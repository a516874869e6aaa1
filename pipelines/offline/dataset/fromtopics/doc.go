// Package fromtopics takes a data set from the topics themselves: what users did between two times, and the catalogue as it is
// now.
//
// It may import schemas, consumers/stream and producers/kafkaio. What always holds in it:
//
//   - A user's events before the user's last tombstone are left out, also where the tombstone stands later than the time asked for.
//   - No record stops it. What does not decode, or makes no sense, is counted: the role that consumes the topic has made a dead
//     letter of it.
//   - Nothing is committed and nobody's partitions move; the same topics give the same records in the same order.
package fromtopics
