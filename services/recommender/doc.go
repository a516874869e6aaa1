// Package recommender answers recommendation requests: profile, query vector, retrieval, item records, ranking, rules,
// reply. It orchestrates the other services and holds no state but two small snapshots (the live model's version, the shelf
// of popular and recent items).
//
// It may import schemas and the services beside it; it knows nothing of Kafka.
//
// What always holds in it:
//
//   - Each request gets exactly one reply, and gets it before its deadline whatever Redis or Milvus do: a watchdog answers
//     from the shelf when the work does not come to an end in time.
//   - A dot product never crosses model versions: the version of the live collection decides, and a user without an
//     embedding of that version is encoded on the fly from the history.
//   - No item is shown whose record says deleted or unavailable, however far the index lags behind. Only when the records
//     cannot be read at all is the shelf's last copy used, and the reply then says that it is degraded.
//   - What is measured of a batch costs one addition for each stage and rule, however many requests and candidates it has, and
//     nothing is allocated for it where nobody listens. Labels are names of stages and rules, never ids or filters.
//   - A page is not short while eligible items are within reach: retrieval widens, then the shelf fills.
package recommender
