// Package embedded runs Freshet's servers in this process: Kafka, Redis and Milvus, each on a loopback port and speaking its
// real wire protocol, so that the pipeline cannot tell them from real ones but by speed. The demo, `freshet run --embedded` and
// the tests use it. It imports nothing of the project but its own sub-packages, and nothing of it is needed in production.
//
// What always holds: a server that Start returned answers on its address; Close leaves no goroutine and no open port behind;
// two processes never share a data directory; faults strike only the calls that a test has named.
package embedded
