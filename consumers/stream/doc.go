// Package stream is the consumer runtime.
package stream
