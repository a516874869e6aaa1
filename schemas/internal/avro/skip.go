package avro

// maxDepth bounds how deep recursive types may nest in a record: the bytes must not decide how deep the stack grows.
const maxDepth = 64

// skip passes over a value of the writer's schema and checks it as reading would.
func (r *Reader) skip(s *Schema) {
	if r.depth == maxDepth {
		r.failf("values nest more than %d deep", maxDepth)
		return
	}
	r.depth++
	switch s.Kind {
	case Boolean:
		r.Bool()
	case Int:
		r.Int()
	case Long:
		r.Long()
	case Float:
		r.next(4)
	case Double:
		r.next(8)
	case Bytes, String:
		r.next(r.length())
	case Fixed:
		r.next(s.Size)
	case Enum:
		r.Index(len(s.Symbols))
	case Union:
		r.skip(s.Options[r.Index(len(s.Options))])
	case Array, Map:
		r.skipBlocks(s)
	case Record:
		r.skipFields(s)
	}
	r.depth--
}

func (r *Reader) skipFields(s *Schema) {
	if s.empty { // and may name any number of values, which cost nothing to write and must cost nothing to skip
		return
	}
	for _, f := range s.Fields {
		if r.err != nil {
			return
		}
		r.skip(f.Type)
	}
}

func (r *Reader) skipBlocks(s *Schema) {
	for n := r.Block(1); n > 0; n = r.Block(1) {
		for ; n > 0 && r.err == nil; n-- {
			if s.Kind == Map {
				r.next(r.length())
			}
			r.skip(s.Items)
		}
	}
}
