package avro

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Resolution rewrites values from a writer's schema to a reader's, by the specification's rules of schema resolution: fields by
// name, missing ones by the reader's default, numbers and strings promoted, symbols by name or the enum's default. It is safe for
// concurrent use.
type Resolution struct {
	rewrite  rewrite
	problems []string
}

// rewrite reads one value as the writer wrote it and appends it as the reader wants it. On a bad value it fails the Reader.
type rewrite func(dst []byte, r *Reader) []byte

// Resolve finds out how to read what writer wrote as reader. What cannot be read is listed by Problems, and fails when it
// comes up.
func Resolve(writer, reader *Schema) *Resolution {
	c := &compiler{}
	return &Resolution{rewrite: c.compile(writer, reader, reader.describe()), problems: c.problems}
}

// Problems names what a writer could write that the reader could not read. The reader's schema is a compatible evolution of the
// writer's (BACKWARD, in a registry's words) when there is none.
func (s *Resolution) Problems() []string { return s.problems }

// Append appends the reader's form of the record body to dst; dst keeps its length on an error. Of the symbols that the reader's enums
// do not have, and took for their defaults, it returns the first.
func (s *Resolution) Append(dst, body []byte) ([]byte, *UnknownSymbol, error) {
	r := NewReader(body)
	out := s.rewrite(dst, r)
	if err := r.Finish(); err != nil {
		return dst, nil, err
	}
	return out, r.unknown, nil
}

// UnknownSymbol is a symbol that a reader's enum does not have.
type UnknownSymbol struct {
	Path   string // of the reader's field, from the record's own name on
	Symbol string
	Known  []string
}

type compiler struct {
	problems []string
}

// impossible notes a problem and returns a rewrite that fails.
func (c *compiler) impossible(path, format string, args ...any) rewrite {
	reason := path + ": " + fmt.Sprintf(format, args...)
	c.problems = append(c.problems, reason)
	return func(dst []byte, r *Reader) []byte {
		r.Fail(reason)
		return dst
	}
}

// compile pairs two types; path names the place for people. It ends, since each step goes down in the reader, whose types Freshet
// wrote, or takes one option of a writer's union, which holds no further union.
func (c *compiler) compile(w, r *Schema, path string) rewrite {
	if strings.Count(path, ".") > maxDepth {
		return c.impossible(path, "the reader's schema nests more than %d deep", maxDepth)
	}
	switch {
	case w.Kind == Union:
		return c.compileFromUnion(w, r, path)
	case r.Kind == Union:
		return c.compileToUnion(w, r, path)
	case !matches(w, r) && !promotes(w.Kind, r.Kind):
		return c.impossible(path, "%s cannot be read as %s", w.describe(), r.describe())
	case w.Logical != "" && r.Logical != "" && w.Logical != r.Logical:
		// The specification ignores this. A time in microseconds read as milliseconds is worth converting, and what has no
		// counterpart a refusal.
		if unit := w.Moment(); unit != 0 && r.Logical == timestampMillis {
			return compileMoment(unit)
		}
		return c.impossible(path, "%s cannot be read as %s", w.Logical, r.Logical)
	}
	switch r.Kind {
	case Record:
		return c.compileRecord(w, r, path)
	case Enum:
		return c.compileEnum(w, r, path)
	case Array, Map:
		return c.compileList(w, r, path)
	}
	return compilePrimitive(w, r)
}

// matches says whether both are the same type by kind and, where there is one, by name: the unqualified name, or an alias of the
// reader's.
func matches(w, r *Schema) bool {
	if w.Kind != r.Kind || w.Size != r.Size {
		return false
	}
	return w.Name == "" || unqualified(w.Name) == unqualified(r.Name) || slices.Contains(r.Aliases, w.Name)
}

func unqualified(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

func promotes(w, r Kind) bool {
	switch w {
	case Int:
		return r == Long || r == Float || r == Double
	case Long:
		return r == Float || r == Double
	case Float:
		return r == Double
	case String:
		return r == Bytes
	case Bytes:
		return r == String
	}
	return false
}

func (c *compiler) compileFromUnion(w, r *Schema, path string) rewrite {
	options := make([]rewrite, len(w.Options))
	for i, option := range w.Options {
		options[i] = c.compile(option, r, path)
	}
	return func(dst []byte, r *Reader) []byte {
		return options[r.Index(len(options))](dst, r)
	}
}

func (c *compiler) compileToUnion(w, r *Schema, path string) rewrite {
	i := slices.IndexFunc(r.Options, func(option *Schema) bool { return matches(w, option) })
	if i < 0 {
		i = slices.IndexFunc(r.Options, func(option *Schema) bool { return promotes(w.Kind, option.Kind) })
	}
	if i < 0 {
		return c.impossible(path, "%s is none of the union's types", w.describe())
	}
	value := c.compile(w, r.Options[i], path)
	return func(dst []byte, r *Reader) []byte { return value(AppendLong(dst, int64(i)), r) }
}

// compileRecord resolves a record in two passes. The writer's fields may stand in any order, so the first pass skips through
// them and notes where each begins; the second emits the reader's fields in the reader's order, each read from its place.
func (c *compiler) compileRecord(w, r *Schema, path string) rewrite {
	fields := make([]recordField, len(r.Fields))
	for i, f := range r.Fields {
		fields[i] = c.compileField(w, f, path+"."+f.Name)
	}
	return func(dst []byte, r *Reader) []byte {
		base := len(r.offsets)
		for _, f := range w.Fields {
			r.offsets = append(r.offsets, r.pos)
			r.skip(f.Type)
		}
		end := r.pos
		for _, f := range fields {
			if r.err != nil {
				break
			}
			if f.from >= 0 {
				r.pos = r.offsets[base+f.from]
			}
			dst = f.value(dst, r)
		}
		if r.err == nil {
			r.pos = end
		}
		r.offsets = r.offsets[:base]
		return dst
	}
}

// recordField says where a field of the reader's record comes from.
type recordField struct {
	from  int     // index of the writer's field; -1 where it has none
	value rewrite // of the writer's value, or the default
}

func (c *compiler) compileField(w *Schema, f Field, path string) recordField {
	from := slices.IndexFunc(w.Fields, func(own Field) bool { return own.Name == f.Name })
	if from < 0 {
		from = slices.IndexFunc(w.Fields, func(own Field) bool { return slices.Contains(f.Aliases, own.Name) })
	}
	if from >= 0 {
		return recordField{from: from, value: c.compile(w.Fields[from].Type, f.Type, path)}
	}
	if !f.HasDefault {
		return recordField{from: -1, value: c.impossible(path, "the writer has no such field, and it has no default")}
	}
	fill, err := AppendDefault(nil, f.Type, f.Default)
	if err != nil {
		return recordField{from: -1, value: c.impossible(path, "%v", err)}
	}
	return recordField{from: -1, value: func(dst []byte, _ *Reader) []byte { return append(dst, fill...) }}
}

func (c *compiler) compileEnum(w, r *Schema, path string) rewrite {
	unknown := symbolIndex(r, r.Default)
	symbols := make([]int64, len(w.Symbols))
	for i, symbol := range w.Symbols {
		index := symbolIndex(r, symbol)
		if index < 0 {
			index = unknown
		}
		if index < 0 {
			c.impossible(path, "symbol %s is unknown, and the enum has no default", symbol)
		}
		symbols[i] = int64(index)
	}
	return func(dst []byte, reader *Reader) []byte {
		i := reader.Index(len(symbols))
		switch index := symbols[i]; {
		case index < 0:
			reader.failf("%s: symbol %s is unknown, and the enum has no default", path, w.Symbols[i])
		case r.Symbols[index] != w.Symbols[i] && reader.unknown == nil:
			reader.unknown = &UnknownSymbol{Path: path, Symbol: w.Symbols[i], Known: r.Symbols}
		}
		return AppendLong(dst, symbols[i])
	}
}

func (c *compiler) compileList(w, r *Schema, path string) rewrite {
	items := c.compile(w.Items, r.Items, path+"[]")
	return func(dst []byte, r *Reader) []byte {
		for n := r.Block(1); n > 0; n = r.Block(1) {
			dst = AppendLong(dst, int64(n))
			for ; n > 0 && r.err == nil; n-- {
				if w.Kind == Map {
					dst = copyBytes(dst, r)
				}
				dst = items(dst, r)
			}
		}
		return append(dst, 0)
	}
}

// compilePrimitive copies a value, or promotes it.
func compilePrimitive(w, r *Schema) rewrite {
	switch r.Kind {
	case Float, Double:
		return compileReal(w.Kind, r.Kind)
	case Bytes, String:
		return copyBytes
	}
	return func(dst []byte, reader *Reader) []byte {
		from := reader.pos
		reader.skip(w)
		return append(dst, reader.src[min(from, reader.pos):reader.pos]...)
	}
}

// compileReal rounds an integer once, straight to the type wanted: by way of double it could end elsewhere.
func compileReal(w, r Kind) rewrite {
	switch {
	case w == Double:
		return func(dst []byte, r *Reader) []byte { return AppendDouble(dst, r.Double()) }
	case w == Float && r == Float:
		return func(dst []byte, r *Reader) []byte { return AppendFloat(dst, r.Float()) }
	case w == Float:
		return func(dst []byte, r *Reader) []byte { return AppendDouble(dst, float64(r.Float())) }
	}
	integer := (*Reader).Long
	if w == Int {
		integer = func(r *Reader) int64 { return int64(r.Int()) }
	}
	if r == Float {
		return func(dst []byte, r *Reader) []byte { return AppendFloat(dst, float32(integer(r))) }
	}
	return func(dst []byte, r *Reader) []byte { return AppendDouble(dst, float64(integer(r))) }
}

// compileMoment makes milliseconds of a writer's timestamps; a moment between two is the earlier one.
func compileMoment(unit time.Duration) rewrite {
	perMilli := int64(time.Millisecond / unit)
	return func(dst []byte, r *Reader) []byte {
		v := r.Long()
		ms := v / perMilli
		if v%perMilli < 0 {
			ms--
		}
		return AppendLong(dst, ms)
	}
}

func copyBytes(dst []byte, r *Reader) []byte {
	n := r.length()
	dst = AppendLong(dst, int64(n))
	return append(dst, r.next(n)...)
}
