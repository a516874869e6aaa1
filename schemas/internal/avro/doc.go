// Package avro is the small part of Avro 1.12 (https://avro.apache.org/docs/1.12.0/specification/) that Freshet's codecs stand
// on: binary primitives for the hand-written encoders and decoders, and schema resolution for records whose writer used
// another version of the schema.
//
// It may import nothing of the project. What always holds in it:
//
//   - Reading is total: any bytes give a value or an *Error, never a panic. No length or count is believed before the bytes
//     that it speaks of are known to be there, so memory stays within a small multiple of the input.
//   - Resolution rewrites a record from the writer's form into the reader's, as bytes. The typed decoder of the reader's
//     schema then reads it, so that there is one decoder for each record, whoever wrote it.
package avro
