// Package evaluation measures how well scorers rank what users did next: every item is ranked for every case, never a
// sample of negatives, since sampled metrics order models differently (Krichene and Rendle, KDD 2020). It has the baselines
// that stand beside a model, what their lists are like, parts of the cases, intervals, and runs that are kept, so that later
// ones can be compared with them case by case. Package page makes a report readable.
//
// It may import schemas, services and pipelines/offline/dataset, but knows a model only as a Scorer. What always holds in it:
//
//   - Ties count against the scorer: an item with the target's score stands before it. A scorer that gives everything the
//     same score finds nothing.
//   - The same cases, scorers and configuration give the same report, whatever the number of workers.
//   - The settings of baselines are chosen on validation cases; what the test asks for decides nothing.
//   - Figures are compared only where the questions were the same: a checksum over cases, items and protocol says so.
//   - What the data does not have (times, types, categories, histories) is left out, never counted as 0.
package evaluation
