// Package calls observes what Freshet asks of Redis and Milvus: a client span for each call (or pipeline), how long it took,
// and failures by kind. Names and attributes are OpenTelemetry's conventions for database clients.
//
// It may import nothing of the project, and of OpenTelemetry the API alone: services/telemetry decides where the
// measurements go. What always holds in it:
//
//   - No attribute and no span holds a key, an id, a statement or a server's error text: these carry ids of users and items.
//     A failure is one word of a fixed list.
//   - A span is begun only below one that records. So a trace that was not sampled, and work that no trace asked for, cost a
//     look at the context.
//   - Without an SDK nothing is allocated.
package calls
