// Package partition is what every consumer of a topic stands on: it reads one partition, and has records handled.
//
// Topic asks the brokers where the partitions of a topic begin and end. Reader reads one of them from an offset on, and waits out
// whatever happens to the brokers. Handling hands records to a Handler until each is done or given up. Package stream makes a group's
// member of them, package replay reads whole topics in order.
//
// It may import producers/kafkaio and kafka-go, and nothing else of the project. What always holds in it:
//
//   - A Reader returns committed records alone, in the order of their offsets, each once. Where the log was cut, or begins after what
//     was to be read, it says so in the log and in Losses, and goes on.
//   - A tombstone's value is nil, an empty value is not.
//   - A panic of a handler, or Failures that name a record which the batch does not have, never end the process. A record that
//     panics costs its neighbours nothing.
//   - Nothing is given up but what was marked as permanent, or panics alone. Everything else is tried again in its order.
package partition
