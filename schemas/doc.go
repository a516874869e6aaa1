// Package schemas holds Freshet's contracts: the records that cross Kafka, as .avsc files and as typed Go records, their
// codecs, the Confluent wire framing and the semantic checks that decoding cannot make.
//
// It may import nothing of the project but its own internal/avro, generic and secure. What always holds in it:
//
//   - A typed encoder writes, byte for byte, what goavro writes for the same value (maps in the order of their keys, where goavro
//     has none), and a typed decoder reads whatever goavro wrote; golden, property and fuzz tests prove both ways.
//   - Decoding is total: any bytes give a record or an error, never a panic, and never more memory than the input's size allows.
//   - Decoding says whether bytes are a record, Limits says whether the record makes sense.
//   - A record whose schema cannot be had is refused with a reason that says what was recognised and what mends it, the second record
//     with the same words as the first; foreign.go has the table.
//   - A schema id of the embedded registry means the same schema for ever.
package schemas
