package schemas

import (
	"context"
	"log/slog"
	"net/url"

	"github.com/twmb/franz-go/pkg/sr"
)

// keepLevel gives a subject the configured compatibility level, if it has none of its own. A registry that will not have that is no
// reason to stand still: the log says what it means.
func (r *confluentRegistry) keepLevel(ctx context.Context, subject string) {
	if r.level == 0 {
		return
	}
	has, err := r.hasLevel(ctx, subject)
	if err == nil && !has {
		err = r.client.SetCompatibility(ctx, sr.SetCompatibility{Level: r.level}, subject)[0].Err
	}
	if err != nil {
		r.log.Warn("a subject's compatibility level could not be seen to: unless it has one, schemas that Freshet cannot read may be "+
			"registered under it, and their records become dead letters; grant the right to read and set it, or set it there and "+
			"registry.compatibility to nothing",
			slog.String("subject", subject), slog.String("level", r.level.String()), slog.Any("error", refused(err)))
	}
}

// hasLevel says whether a subject has a level of its own, be it NONE. That all subjects have one by the registry's own setting counts
// for nothing: it is not about ours.
func (r *confluentRegistry) hasLevel(ctx context.Context, subject string) (bool, error) {
	if has, ok, err := r.apicurio.hasLevel(ctx, subject); ok || err != nil {
		return has, err
	}
	own := sr.WithParams(ctx, sr.RawParams(url.Values{"defaultToGlobal": {"false"}}))
	answer := r.client.Compatibility(own, subject)[0]
	if hasCode(answer.Err, sr.ErrSubjectNotFound, sr.ErrSubjectLevelCompatibilityNotConfigured) {
		return false, nil
	}
	return true, answer.Err
}
