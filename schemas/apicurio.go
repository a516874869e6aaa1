package schemas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// apicurioPath begins the path of Apicurio's API for Confluent's clients; its own API stands beside it.
const apicurioPath = "/apis/ccompat/"

// apicurio asks Apicurio over its own API for what the other one gets wrong or does not have: a reference's group, global ids,
// whether a subject has a level. A nil one is no Apicurio.
type apicurio struct{ client *sr.Client }

// newApicurio returns nil where the URLs are not Apicurio's.
func newApicurio(urls []string, opts []sr.ClientOpt) (*apicurio, error) {
	own := make([]string, len(urls))
	for i, instance := range urls {
		base, _, is := strings.Cut(instance, apicurioPath)
		if !is {
			return nil, nil
		}
		own[i] = base + "/apis/registry"
	}
	accept := sr.PreReq(func(request *http.Request) error {
		request.Header.Set("Accept", "*/*") // it gives schemas as they were written, under whatever type
		return nil
	})
	client, err := sr.NewClient(append(slices.Clip(opts), sr.URLs(own...), accept)...)
	return &apicurio{client}, err
}

// content returns the schema with a content id, its references put in. ok is false where the registry cannot say: it is no Apicurio,
// or one from before version 3.
//
// The API for Confluent's clients leaves a reference's group out, and then gives the type of that name in the group `default`: another
// team's enum, whose symbols would be taken for the writer's. And asked by a content id, 3.0.9 puts no references in; by the global id
// of any version that has the content, it does.
func (a *apicurio) content(ctx context.Context, id SchemaID) (schema Schema, ok bool, err error) {
	if a == nil {
		return schema, false, nil
	}
	var found struct {
		Versions []struct {
			GlobalID  uint64 `json:"globalId"`
			ContentID uint64 `json:"contentId"`
		} `json:"versions"`
	}
	query := url.Values{"contentId": {strconv.FormatUint(id.number, 10)}, "limit": {"1"}}
	err = a.get(ctx, "/v3/search/versions", query, &found)
	if isAbsent(err) {
		return schema, false, nil
	}
	if err != nil || len(found.Versions) == 0 || found.Versions[0].ContentID != id.number {
		return schema, false, err
	}
	var text []byte
	if err = a.get(ctx, fmt.Sprintf("/v3/ids/globalIds/%d", found.Versions[0].GlobalID), wholly, &text); err != nil {
		return schema, false, err
	}
	return Schema{Text: string(text)}, true, nil
}

// wholly asks for references to be put in, in the words of version 3 and of version 2.
var wholly = url.Values{"references": {"DEREFERENCE"}, "dereference": {"true"}}

// global returns the schema with a global id, its references put in.
func (a *apicurio) global(ctx context.Context, id SchemaID) (Schema, error) {
	if a == nil {
		return Schema{}, unknownSchema(id, "only Apicurio's own API knows such ids, and registry.url does not lead to %sv7 of an Apicurio: "+
			"set apicurio.registry.use-id to contentId", apicurioPath)
	}
	var err error
	for _, version := range []string{"v3", "v2"} {
		var text []byte
		err = a.get(ctx, fmt.Sprintf("/%s/ids/globalIds/%d", version, id.number), wholly, &text)
		switch {
		case err == nil:
			return Schema{Text: string(text)}, nil
		case isMissing(err):
			return Schema{}, unknownSchema(id, "the registry does not have it: let the writer use the registry of registry.url")
		case !isAbsent(err):
			return Schema{}, err
		}
	}
	return Schema{}, err
}

// hasLevel says whether a subject has a compatibility level of its own. (By the other API it has the registry's, if none.) ok is false
// where the registry cannot say.
func (a *apicurio) hasLevel(ctx context.Context, subject string) (has, ok bool, err error) {
	if a == nil {
		return false, false, nil
	}
	var rules []string
	err = a.get(ctx, "/v3/groups/default/artifacts/"+url.PathEscape(subject)+"/rules", nil, &rules) //nolint:misspell // Apicurio's word
	if isAbsent(err) {
		return false, false, nil
	}
	return slices.Contains(rules, "COMPATIBILITY"), err == nil, err
}

func (a *apicurio) get(ctx context.Context, path string, query url.Values, into any) error {
	return a.client.Do(sr.WithParams(ctx, sr.RawParams(query)), http.MethodGet, path, nil, into)
}

// isMissing recognises Apicurio's own word that it has no such thing.
func isMissing(err error) bool {
	answer, ok := errors.AsType[*sr.ResponseError](err)
	var said struct {
		Name string `json:"name"`
	}
	return ok && answer.StatusCode == http.StatusNotFound && json.Unmarshal(answer.Raw, &said) == nil &&
		strings.HasSuffix(said.Name, "NotFoundException")
}

// isAbsent recognises the answer of a registry that has no such page.
func isAbsent(err error) bool {
	answer, ok := errors.AsType[*sr.ResponseError](err)
	return ok && answer.StatusCode == http.StatusNotFound && !isMissing(err)
}
