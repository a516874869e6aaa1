// Package recall measures, while Freshet runs, how good its recommendations are: for each interaction by which a user chose an
// item that is new to them, did the item stand on the page that the user was shown last, and among the first k by the user's
// embedding as it was just before?
//
// It may import schemas, services, consumers/stream, producers/kafkaio and pipelines/topics, and asks Kafka alone: neither Redis
// nor Milvus. Both hold the present only, and what is asked here is the past.
//
// What always holds in it:
//
//   - Nothing that came later counts. Interactions, replies and item changes are read as one sequence by broker time
//     (replay.Timeline). An event is asked for with the history, the page and the catalogue that came before it; what has
//     the event's own millisecond came after. Item vectors are encoded by the item tower from the items topic, folded alongside:
//     services/items knows the newest ones only, and a change of today must not alter yesterday's figures.
//   - A user is folded by the code of services/profiles, so that duplicates, late events and erasures do what they do in serving. A late
//     event moves the user and is not asked for: what the user did afterwards was known before it came. Nor is an item that the
//     user had seen.
//   - Ties count against the model. The rank is exact: among all items that are available then and that the user has not seen,
//     by the inner product alone, without the index's approximation, the second stage or the rules.
//   - What cannot be decoded or makes no sense is left out, as its own role makes a dead letter of it.
//   - A window is reported once. Its rows are written when it is over, those of segment all last, in the order of k: a window whose
//     last row is missing is computed again, and its rows overwrite by their keys.
//
// # Starting again
//
// No offsets are committed. A start replays what the topics hold, and reports the windows after the last one that freshet.recall
// has of this model; the first start of a model goes back by the setting backlog. Let that moment be R. Before R the whole catalogue
// as of R counts, as `freshet rebuild profiles` at R would have it: the items topic is compacted, and the versions that older
// events met are gone. From R on each event meets the catalogue of its own moment.
// So a window has the same figures whenever it is computed from one R; a start in between may move those of later windows a little, never
// those of windows that were reported.
//
// A record that comes to the topic later than the setting delay after a window's end, with a timestamp within it, counts in the window that
// is open when it is read.
//
// One process is to run this. Two would write the same rows twice.
//
// # Memory
//
// The sample is by a hash of the user's id, and holds max_users at most: beyond that its share is halved, and those outside of it are
// dropped, so that it stays a fair sample of all users; each row says the share. A user takes about 150 bytes for each event of
// the history, layers x dim x 4 bytes of state, 4 bytes for each item ever seen, and 4 pages of at most k x 4 bytes: some 12 KB with the
// defaults, 120 MB for 10,000. An item takes dim x 4 bytes and some 100 more.
package recall
