package avro

// maxDepth bounds how deep recursive types may nest in a record: the bytes must not decide how deep the stack grows.
const maxDepth = 64

// Skip passes over a value of the writer's schema, checks it as reading would, and returns its bytes. Of more than so many values in
// it it fails, as reading all of them may take far more memory than the bytes do; 0 counts none.
func (r *Reader) Skip(s *Schema, most int) []byte {
	from := r.pos
	r.values, r.mostValues = 0, most
	r.skip(s)
	r.mostValues = 0
	if r.err != nil {
		return nil
	}
	return r.src[from:r.pos:r.pos]
}

// skip passes over a value of the writer's schema and checks it as reading would.
func (r *Reader) skip(s *Schema) {
	if r.depth == maxDepth {
		r.failf("values nest more than %d deep", maxDepth)
		return
	}
	if r.values++; r.values > r.mostValues && r.mostValues > 0 {
		r.failf("there are more than %d values in one", r.mostValues)
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
	if s.stored != nil {
		// The others may be any number of values, which cost nothing to write and must cost nothing to skip.
		r.values += len(s.Fields) - len(s.stored)
		for _, stored := range s.stored {
			if r.err != nil {
				return
			}
			r.skip(stored)
		}
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
