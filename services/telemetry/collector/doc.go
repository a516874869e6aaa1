// Package collector takes traces and metrics by OTLP over gRPC and shows a trace as a tree: for `freshet traces` on a laptop,
// and for tests. It is no store: it keeps what it was sent in memory.
//
// It may import nothing of the project. What always holds in it: what was acknowledged can be read at once.
package collector
