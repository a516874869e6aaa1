// Package embedded runs Freshet's servers in this process: Kafka, Redis, Milvus and a schema registry, each on a loopback port
// and speaking its real wire protocol, so that the pipeline cannot tell them from real ones but by speed. The demo,
// `freshet run --embedded` and the tests use it. It imports nothing of the project but its own sub-packages, and nothing
// of it is needed in production.
//
// What always holds: a server that Start returned answers on its address; Close leaves no goroutine and no open port behind;
// two processes never share a data directory; faults strike only the calls that a test has named.
//
// What they do not do:
//   - Kafka (franz-go's kfake) is one broker without replication. It makes no topic by itself. With DataDir, topics and committed
//     offsets outlive the process, synced as the operating system likes; Redis and Milvus start empty all the same, so that
//     consumers which are to fill them again need another group or reset offsets. It advertises the address that it listens
//     on. Sessions of consumer groups may be as short as 100 ms, where brokers ask for 6 s. A new topic can be written to at once,
//     where the leaders of a real one may have yet to hear of their election; a group that nobody knows is at once there. Logs are
//     compacted when a test says so, not by themselves.
//   - Redis (miniredis) keeps nothing, expires keys up to half a second late (later with very many keys), runs scripts one at a
//     time at some 5,000/s, and knows no eviction, replication or cluster. Faults see the commands of clients, not those
//     that scripts run.
//   - Milvus: see package milvus.
//   - The schema registry (franz-go's srfake) checks no compatibility and does not look into a schema: what a real one would
//     refuse it registers. It keeps nothing.
//
// Package servertest gives tests these servers, or real ones, and runs the same suites on both.
package embedded
