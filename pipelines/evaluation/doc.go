// Package evaluation measures how well scorers rank what users did next: every item is ranked for every case, never a
// sample of negatives, since sampled metrics order models differently (Krichene and Rendle, KDD 2020).
//
// It may import schemas, services and pipelines/dataset, but knows a model only as a Scorer. What always holds in it:
//
//   - Ties count against the scorer: an item with the target's score stands before it. A scorer that gives everything the
//     same score finds nothing.
//   - The same cases, scorers and configuration give the same report, whatever the number of workers.
package evaluation
