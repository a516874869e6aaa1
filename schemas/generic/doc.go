// Package generic reads records of any Avro schema, whoever wrote it and for whatever: container files of other tools, and records
// that no typed codec takes. The bytes are decoded by goavro, and what it gives is walked along the writer's schema.
//
// It may import schemas/internal/avro and github.com/linkedin/goavro. What always holds in it:
//
//   - goavro gets a schema of our own making, which has the shape of the writer's and nothing else of it: no names, no defaults, no
//     logical types. So no valid schema is refused for those, and nothing that a logical type means is lost on the way: a decimal is
//     exact, a timestamp has the unit that its schema says.
//   - goavro believes the counts that it reads. It gets bytes only once they are known to be one value of the type, of a bounded
//     number of parts.
package generic
