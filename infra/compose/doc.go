// Package compose holds Freshet and its servers for Docker: compose.yaml, the image, and what Prometheus and the OpenTelemetry
// collector read. Its test holds them against freshet.example.yaml and against one another. It may import nothing of the project.
//
// What always holds in it: images are official and pinned; ports are the defaults of freshet.example.yaml, on loopback; topics
// are made by Freshet itself, so that partitions and retention have one source; everything that can be asked has a health check.
package compose
