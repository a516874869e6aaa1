// Package local runs the servers that Freshet's users run (Kafka, Redis, Milvus, a schema registry) on one machine and without
// containers: it installs them into a cache folder outside the tree, starts them on loopback ports of their own, waits until
// they really serve, and kills, stops and pauses them for fault tests. The program in cmd is its command line; `task servers:up`
// calls it. It imports nothing of the project; it probes servers by their raw protocols, since Freshet's clients are what is
// tested on them.
//
// What always holds:
//   - Up returns nil only when every server answered what its users need: Kafka's group coordinator has loaded its topic, Milvus
//     counts the rows of every loaded collection, Redis has left loading, the cluster owns all slots.
//   - A server is known by its process id and the start time of that process, never by the id alone: ids are used again.
//   - The data outlives Stop, Kill and Down; only Wipe removes it. One file lock keeps two callers from starting the same server.
//   - servers.json in the folder describes every listener, certificate, user and password. It is readable by its owner alone.
//
// How the servers differ from a production set-up: one Kafka broker without replication, whose offsets topic has one partition so
// that one probe speaks for all groups; PLAINTEXT clients are ANONYMOUS, which is a super user, so that suites without
// credentials run beside those with; a Redis Cluster of three masters without replicas that serves what is left when a node is
// lost (cluster-require-full-coverage no); Milvus with a time tick of 50 ms instead of 200 ms (proxy.timeTickInterval), so that
// writes are visible sooner. Redis appends every write to its log, which a kill -9 does not lose.
//
// At Kafka's SSL listener a client certificate is required; clients of TLS without one have the SASL_SSL listener.
package local
