// Package servertest gives tests their servers: embedded ones, or the real ones that the environment names
//
//	FRESHET_TEST_KAFKA=host:port  FRESHET_TEST_REDIS=host:port  FRESHET_TEST_REDIS_CLUSTER=host:port,…
//	FRESHET_TEST_MILVUS=host:port  FRESHET_TEST_REGISTRY=url
//
// so that one suite holds for both. It may import infra/embedded and client libraries, nothing else of the project, and is
// imported by tests alone.
//
// What always holds:
//   - Real servers are shared: a test works under names of its own (Name, Redis.Prefix, Milvus.Collection), and what it made is
//     deleted when it ends.
//   - Faults of Redis and Milvus are scripted alike on both, on real servers by a proxy in front of them.
//   - What only an embedded server can do skips the test on a real one, with a reason that names it.
package servertest
