// Package ranking is the second stage: it orders what retrieval found by more than closeness to the user's taste.
//
// It may import schemas alone. What always holds in it:
//
//   - A Ranker orders its candidates in place by falling score, equal scores by item id, and neither adds nor drops one.
//   - Scores are finite whatever the inputs are: a NaN from a vector or a price must not make an order undefined.
//   - Nothing but the query and the candidates goes into a score: no clock, no random number.
package ranking
