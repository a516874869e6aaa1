package recommender

import (
	"context"
	"errors"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers"
)

// unencoded is a job that has no vector yet.
type unencoded struct {
	job       *job
	extension profiles.Extension // of its user's profile by the request's own events
	needs     []string           // items whose vectors its own is made from
}

// makeVectors gives each job the vector to search with: the seed item's, the profile's embedding, or, where the profile has
// none of the live version or the request carries newer events, one that is encoded on the fly. A query's vector comes last, since
// the user's own is a part of it.
func (b *batch) makeVectors(ctx context.Context) {
	if b.model == "" {
		return
	}
	tower := b.service.tower(b.model)
	var jobs []unencoded
	for _, j := range b.jobs {
		u := unencoded{job: j}
		switch {
		case j.request.Query != "" && b.service.config.QueryTaste == 0:
			continue
		case j.request.SeedItemID != "":
			u.needs = []string{j.request.SeedItemID}
		default:
			u.extension = j.profile.Extend(tower, j.request.Recent)
			u.needs = u.extension.Items()
		}
		if len(u.needs) == 0 {
			j.useEmbedding()
			continue
		}
		jobs = append(jobs, u)
	}
	if len(jobs) > 0 {
		b.encode(ctx, tower, jobs)
	}
	b.encodeQueries()
}

// encode makes the vectors of jobs from those of the items that they need, read in one round trip.
func (b *batch) encode(ctx context.Context, tower *towers.UserTower, jobs []unencoded) {
	var ids []string
	for i := range jobs {
		ids = append(ids, jobs[i].needs...)
	}
	ids = unique(ids)
	read, err := b.service.Items.Vectors(ctx, b.model, ids)
	if unreadable(err) && len(jobs) > 1 {
		for i := range jobs { // a value that cannot be read is the trouble of those alone who need it
			b.encode(ctx, tower, jobs[i:i+1])
		}
		return
	}
	if err != nil {
		for i := range jobs {
			j := jobs[i].job
			j.degrade(schemas.DegradedItemVectors, "%v", err)
			if j.request.SeedItemID == "" {
				j.useEmbedding()
			}
		}
		return
	}
	vectors := make(map[string][]float32, len(ids))
	for i, id := range ids {
		vectors[id] = read[i]
	}
	for i := range jobs {
		jobs[i].encode(tower, b.model, vectors)
	}
}

// unreadable tells that an error is about one stored value, not about Redis.
func unreadable(err error) bool {
	var newer *redisdb.NewerFormatError
	return redisdb.IsCorrupt(err) || errors.As(err, &newer)
}

func (s *Service) tower(version string) *towers.UserTower {
	for _, t := range s.Towers() {
		if t.Version() == version {
			return t
		}
	}
	return nil
}

// encode makes the job's vector from item vectors.
func (u *unencoded) encode(tower *towers.UserTower, model string, vectors map[string][]float32) {
	j := u.job
	if seed := j.request.SeedItemID; seed != "" {
		j.vector, j.source = vectors[seed], ranking.SourceSimilar
		if j.vector == nil {
			j.degrade(schemas.DegradedSeedItem, "item %q is not in the catalogue of model %s: send an item that is", seed, model)
		}
		return
	}
	if tower == nil {
		j.degrade(schemas.DegradedUserTower, "version %s is live but not loaded here: load its bundle", model)
	}
	j.vector = u.extension.Embedding(func(id string) []float32 { return vectors[id] })
}

// useEmbedding takes the profile's embedding of the live version, if there is one, as it is.
func (j *job) useEmbedding() {
	if j.profile != nil {
		j.vector = j.profile.Embedding
	}
}

func unique(ids []string) []string {
	seen := make(map[string]struct{}, len(ids))
	out := ids[:0]
	for _, id := range ids {
		if _, again := seen[id]; !again {
			seen[id] = struct{}{}
			out = append(out, id)
		}
	}
	return out
}
