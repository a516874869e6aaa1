// Package profiles keeps what Freshet knows of each user in Redis: recent history, seen items, and for each live model the
// user tower's state and embedding, moved by one event at a time.
//
// It may import schemas, towers, items and redisdb. What always holds in it:
//
//   - A profile is a plain fold over the user's events in the order of the topic: it is the same, bit for bit, however the
//     events were cut into batches, replayed, or interrupted between any two steps. Where a user's events lie on several
//     partitions (partitions were added), it is the fold in the order in which the partitions' events came.
//   - State and watermark change in one atomic step, guarded by a revision that each write draws anew: a write that was
//     computed from a state which is no longer there is refused and computed again. That is why a process may go on from
//     what it wrote last (memory.go) instead of reading.
//   - A user-tower state is current only with the stamp that says how many events of the history it has seen: a state that
//     another release or a returning model left behind is encoded anew from the history, never moved on.
//   - An event counts once, however long ago it came first: one that comes again with its event_id and its occurred_at is found in
//     the history or in the past (past.go), which keeps the ids of the last EventIDs/2 to EventIDs events that left the history,
//     and of as many impressions. One that is no younger than an id that is forgotten is not counted (Report.Untold), unless it
//     has a place in the history. The history and the state lose an event only where 32 bits of its id are those of another
//     of the past that is no older: one in 2^32 for each id there is.
//   - Seen items are a set of 4-byte fingerprints; how it lies in Redis (repeats, order) is no part of the fold. It knows at least
//     the SeenItems that the user met last, and costs no more than one and a half times its distinct items, or 1,024 if these are
//     fewer. Redis may reserve as much again.
//   - What a tower reads of an event (item, kind, the gap to the event that moved it before) is the same whether the state moves
//     on, is encoded anew, or goes beyond the profile by events that are not applied yet (Profile.Extend): towers.State carries the
//     time of the event that moved it last. Which engine runs a tower is not known here; how far back it has to see, it says.
//   - An event whose item has no vector leaves the taste as it is, and the profile says which item it lacks; the user waits for it
//     (items.Waiters) before that is written. FollowArrivals encodes the history anew once the item is there, whoever dies when.
//   - A value that cannot be read is an error that names the remedy; it is never overwritten as if it were empty. No error names the user:
//     errors reach logs, replies and spans, and the record or the asker tells whose it is.
package profiles
