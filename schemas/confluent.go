package schemas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/freshet/freshet/schemas/secure"
)

// confluentRegistry asks a registry with Confluent's API, once for each schema: what an id means never changes.
type confluentRegistry struct {
	client   *sr.Client
	apicurio *apicurio // nil where the registry is none
	level    sr.CompatibilityLevel
	timeout  time.Duration
	log      *slog.Logger

	mu      sync.Mutex
	schemas map[SchemaID]Schema
}

func newConfluentRegistry(
	c RegistryConfig, log *slog.Logger, urls []string, opts []sr.ClientOpt,
) (*confluentRegistry, error) {
	level, err := c.level()
	if err != nil {
		return nil, err
	}
	r := &confluentRegistry{
		level: level, timeout: cmp.Or(c.Timeout, DefaultRegistryConfig().Timeout), log: log, schemas: make(map[SchemaID]Schema),
	}
	if r.client, err = sr.NewClient(append(slices.Clip(opts), sr.URLs(urls...))...); err != nil {
		return nil, err
	}
	r.apicurio, err = newApicurio(urls, opts)
	return r, err
}

func (r *confluentRegistry) Register(ctx context.Context, subject, schema string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	id, err := r.client.RegisterSchema(ctx, subject, sr.Schema{Schema: schema}, -1, -1)
	if err != nil {
		err = refused(err)
		if answer, ok := errors.AsType[*sr.ResponseError](err); ok && r.apicurio != nil && answer.StatusCode == http.StatusUnprocessableEntity {
			// Seen with 3.0.9, whose check reads schemas that refer to others as if they stood alone.
			err = fmt.Errorf("%w (where the subject's latest version refers to other schemas, Apicurio cannot check another against it: "+
				"set the subject's compatibility to NONE, and start again)", err)
		}
		return 0, &RegistryError{fmt.Errorf("registering a schema under %s: %w", subject, err)}
	}
	r.keepLevel(ctx, subject)
	return id, nil
}

func (r *confluentRegistry) Schema(ctx context.Context, id SchemaID) (Schema, error) {
	// Records from before the registry was set carry the embedded registry's ids, and stay readable.
	if text, ok := embeddedText(id); ok {
		return Schema{Text: text}, nil
	}
	r.mu.Lock()
	schema, known := r.schemas[id]
	r.mu.Unlock()
	if known {
		return schema, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	schema, err := r.fetch(ctx, id)
	switch {
	case errors.Is(err, ErrUnknownSchema):
		return Schema{}, err
	case err != nil:
		return Schema{}, &RegistryError{fmt.Errorf("asking the registry for %s: %w", id, refused(err))}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.schemas[id] = schema
	return schema, nil
}

func (r *confluentRegistry) Latest(ctx context.Context, subject string) (int, Schema, error) {
	asking, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	found, err := r.client.SchemaByVersion(asking, subject, -1)
	switch {
	case hasCode(err, sr.ErrSubjectNotFound, sr.ErrVersionNotFound):
		return 0, Schema{}, fmt.Errorf("subject %s: %w", subject, ErrUnknownSchema)
	case err != nil:
		return 0, Schema{}, &RegistryError{fmt.Errorf("asking the registry for subject %s: %w", subject, refused(err))}
	}
	schema, err := r.Schema(ctx, ByID(found.ID))
	return found.ID, schema, err
}

// fetch asks for the schema and for all that it refers to.
func (r *confluentRegistry) fetch(ctx context.Context, id SchemaID) (Schema, error) {
	if id.space == globalIDs {
		return r.apicurio.global(ctx, id)
	}
	found, err := r.find(ctx, id)
	switch {
	case err != nil:
		return Schema{}, err
	case found.Type != sr.TypeAvro:
		return Schema{}, unknownSchema(id, "in the registry it %s", notAvro(found.Type.String()))
	case len(found.References) == 0:
		return Schema{Text: found.Schema}, nil
	}
	if id.space == registryIDs {
		if whole, ok, err := r.apicurio.content(ctx, id); ok || err != nil {
			return whole, err
		}
	}
	refs := referenceWalk{registry: r, root: id, state: make(map[subjectVersion]visit)}
	if err := refs.collect(ctx, found.References, 0); err != nil {
		return Schema{}, err
	}
	return Schema{Text: found.Schema, Named: refs.texts}, nil
}

func (r *confluentRegistry) find(ctx context.Context, id SchemaID) (sr.Schema, error) {
	if id.space == guids {
		found, err := r.client.SchemaByGUID(ctx, id.uuid())
		if err != nil {
			err = r.unknownGUID(ctx, id, err)
		}
		return found.Schema, err
	}
	found, err := r.client.SchemaByID(ctx, int(id.number))
	if isNotFound(err) {
		advice := "register the schema there, or let the writer use the registry of registry.url"
		if r.apicurio != nil {
			advice += " and apicurio.registry.use-id=contentId"
		}
		err = unknownSchema(id, "the registry does not have it: %s", advice)
	}
	return found, err
}

// unknownGUID tells a GUID that the registry does not know from a registry that knows no GUIDs (before Confluent Platform 8, and
// Apicurio): that one has no such page, and answers as a proxy or a wrong path does. So it is asked for a page that every one has.
func (r *confluentRegistry) unknownGUID(ctx context.Context, id SchemaID, err error) error {
	answer, ok := errors.AsType[*sr.ResponseError](err)
	switch {
	case isNotFound(err):
		return unknownSchema(id, "the registry does not have it: register the schema there, or let the writer use the registry of registry.url")
	case !ok || answer.StatusCode != http.StatusNotFound:
		return err
	}
	if other := r.client.Compatibility(ctx)[0].Err; other != nil {
		return err
	}
	return unknownSchema(id, "this registry knows no GUIDs: set the serializer to put the id before the value "+
		"(leave out value.schema.id.serializer, or schema.id.serializer in Python and Go)")
}

// unknownSchema is an ErrUnknownSchema with what was found instead and what to do.
func unknownSchema(id SchemaID, format string, args ...any) error {
	return fmt.Errorf("%s: %w: %s", id, ErrUnknownSchema, fmt.Sprintf(format, args...))
}

// refused marks the answers of a registry that would not have us. What it says beside the status may be a proxy's whole page.
func refused(err error) error {
	answer, ok := errors.AsType[*sr.ResponseError](err)
	switch {
	case !ok:
		return secure.Refused(secure.ProblemOf(err), err)
	case answer.StatusCode == http.StatusUnauthorized:
		return secure.Refused(secure.Credentials, fmt.Errorf("%s answered %d", answer.URL, answer.StatusCode))
	case answer.StatusCode == http.StatusForbidden:
		return secure.Refused(secure.Denied, fmt.Errorf("%s answered %d", answer.URL, answer.StatusCode))
	}
	return err
}

// isNotFound recognises the registry's own answer. A bare 404 is what a proxy or a wrong path gives, and is no word on the
// schema.
func isNotFound(err error) bool { return hasCode(err, sr.ErrSchemaNotFound) }

func hasCode(err error, codes ...*sr.Error) bool {
	answer, ok := errors.AsType[*sr.ResponseError](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if answer.ErrorCode == code.Code {
			return true
		}
	}
	return false
}
