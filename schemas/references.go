package schemas

import (
	"context"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// Bounds on what one schema may refer to, directly or by way of others. Freshet's own have three named types at most.
const (
	maxReferences     = 64
	maxReferenceDepth = 16
	maxReferenceBytes = 1 << 20
)

// referenceWalk puts together the texts of the named types that a schema refers to, each after those that it refers to itself.
type referenceWalk struct {
	registry *confluentRegistry
	root     SchemaID
	texts    []string
	bytes    int
	state    map[subjectVersion]visit
	path     []string // from the root down, for people
}

type subjectVersion struct {
	subject string
	version int
}

// visit says how far the walk is with one reference.
type visit int

const (
	entered visit = iota + 1
	left
)

func (w *referenceWalk) collect(ctx context.Context, list []sr.SchemaReference, depth int) error {
	for _, ref := range list {
		if err := w.add(ctx, ref, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *referenceWalk) add(ctx context.Context, ref sr.SchemaReference, depth int) error {
	at := subjectVersion{ref.Subject, ref.Version}
	w.path = append(w.path, ref.Subject)
	defer func() { w.path = w.path[:len(w.path)-1] }()
	switch {
	case w.state[at] == left:
		return nil
	case w.state[at] == entered:
		return unknownSchema(w.root, "its references come back to where they were: %s: register schemas that refer to each other as one",
			Quote(strings.Join(w.path, " -> ")))
	case depth > maxReferenceDepth || len(w.state) == maxReferences:
		return unknownSchema(w.root, "it refers to more than %d schemas, or more than %d deep: register it in one piece",
			maxReferences, maxReferenceDepth)
	}
	w.state[at] = entered
	found, err := w.registry.client.SchemaByVersion(ctx, ref.Subject, ref.Version)
	switch {
	case hasCode(err, sr.ErrSubjectNotFound, sr.ErrVersionNotFound, sr.ErrSchemaNotFound):
		return unknownSchema(w.root, "it refers to version %d of subject %s for the type %s, which the registry does not have: "+
			"register that too, or the schema in one piece", ref.Version, Quote(ref.Subject), Quote(ref.Name))
	case err != nil:
		return err
	case found.Type != sr.TypeAvro:
		return unknownSchema(w.root, "it refers to version %d of subject %s, which %s", ref.Version, Quote(ref.Subject),
			notAvro(found.Type.String()))
	}
	if w.bytes += len(found.Schema.Schema); w.bytes > maxReferenceBytes {
		return unknownSchema(w.root, "the schemas that it refers to have more than %d bytes: register a smaller one", maxReferenceBytes)
	}
	if err := w.collect(ctx, found.References, depth); err != nil {
		return err
	}
	w.state[at] = left
	w.texts = append(w.texts, found.Schema.Schema)
	return nil
}
