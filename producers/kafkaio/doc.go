// Package kafkaio is the one place that dials Kafka: the connection settings, the record and header types that producers
// and consumers share, Java's partitioner, the group-commit Writer, and the Fetcher by which all read.
//
// It may import kafka-go, franz-go to decode what is fetched, and, of the project, schemas/secure. What always holds in it:
//
//   - Every connection is made here, with the TLS and the user that the settings name.
//   - A message that the Writer has taken gets exactly one answer, whatever the brokers do.
//   - Messages of one partition are written in the order in which they were taken; a retry never lets a later one pass.
//   - What a Fetcher reads is committed, and its times are the broker's where the topic says so.
//   - Every acknowledgement is by all in-sync replicas.
//   - A message travels with the W3C trace context of its `send` span, or of the trace it was given in. A message of which no
//     span is recorded costs nothing beyond that. Spans and metrics follow OpenTelemetry's conventions for messaging; they
//     are the global providers' as of NewWriter, or those that are installed later.
//   - Writing is at least once. When a broker dies between the append and its answer, nobody can tell whether the append
//     took place, so it is repeated: a log may then hold a message twice, and the earlier copy may even surface after
//     messages that followed it. Consumers are idempotent (event ids, item versions, watermarks) and make nothing of it.
package kafkaio
