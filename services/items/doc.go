// Package items keeps the catalogue in Redis: each item's record and vectors, which of them the candidate index holds, and
// the shelves of popular and recent items that fill a page when retrieval cannot.
//
// Beside go-redis it may import schemas and redisdb. What always holds in it:
//
//   - Of two changes of an item the one with the larger version wins, whatever their order of arrival; at equal versions
//     a deletion wins over an upsert, and otherwise the first one stays. A tombstone deletes whatever the version and keeps
//     it, so that older and equal changes stay refused until DeletedRetention has passed.
//   - Write says where an item's last change is not what is held: a topic that is compacted keeps the one, and not the other.
//   - A vector and an index mark carry the stamp (version and life) of the record they were made from. A new record thus
//     makes the mark of every model invalid in the same atomic step, without touching it: whoever dies between Redis and
//     the index leaves an item that asks to be indexed, and a mark for a record that has moved on is refused.
//   - Who waits for a vector is told of it: the step that finds none notes the user, the step that writes one looks for users, and a
//     change counts as written only once the item is queued for them.
//   - Vectors of a deleted item stay until DeletedRetention has passed, since the histories of users still hold the item
//     and must encode as before.
package items
