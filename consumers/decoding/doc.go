// Package decoding makes values of the records of a batch, for the handlers of roles that apply one record after the other.
//
// It may import schemas and consumers/stream. What always holds in it:
//
//   - A record that nobody can read fails alone, for good, with its reason; the others go on.
//   - An error that may pass (the schema registry is away) fails the batch as a whole: a later record of the same key must not
//     overtake an earlier one.
package decoding
