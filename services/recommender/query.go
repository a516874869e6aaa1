package recommender

import (
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// encodeQueries gives each job that searches by text the vector of its text.
func (b *batch) encodeQueries() {
	tower := b.service.queryTower(b.model)
	for _, j := range b.jobs {
		if j.request.Query != "" {
			j.encodeQuery(tower, b.model, float32(b.service.config.QueryTaste))
		}
	}
}

func (s *Service) queryTower(version string) *towers.QueryTower {
	if s.Queries == nil {
		return nil
	}
	for _, t := range s.Queries() {
		if t.Version() == version {
			return t
		}
	}
	return nil
}

// encodeQuery puts the text's vector, and a share of the user's, in the place of the user's. Where there is none of the text, the
// page is what it is for an unknown seed item, the shelf's: one for the user's taste would look like an answer to the search.
func (j *job) encodeQuery(tower *towers.QueryTower, model string, share float32) {
	taste := j.vector
	j.vector, j.source = nil, ranking.SourceSearch
	if tower == nil {
		j.degrade(schemas.DegradedQuery, "model %s has no query tower here: load a bundle that was trained on items with text", model)
		return
	}
	vector := make([]float32, tower.Dim())
	if !tower.Encode(vector, j.request.Query) {
		j.degrade(schemas.DegradedQuery, "model %s knows no part of %q: search for words that items have", model, j.request.Query)
		return
	}
	if len(taste) == len(vector) && share > 0 {
		matrix.Axpy(share, taste, vector)
		j.personal = true
	}
	j.vector = vector
}
