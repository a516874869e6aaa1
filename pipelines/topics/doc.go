// Package topics makes Freshet's topics and tells how they stand: what `freshet topics create` and `freshet topics describe`
// do, and what a pipeline does before it starts.
//
// It may import producers/kafkaio, consumers/stream (for the names of dead-letter topics) and kafka-go. What always holds in
// it: a topic that exists is never changed. More partitions would move users to other partitions, and a shorter retention
// would delete what nobody can bring back, so a difference is reported with the command that an operator may run.
package topics
