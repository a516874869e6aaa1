// Package erasure erases a user: it writes the tombstone, follows it until the role interactions has applied it, looks at every place
// where Freshet keeps something of a user, and tells what is left, where, and until when.
//
// It may import everything that pipelines may. What always holds in it:
//
//   - Done means seen: the profile in Redis has the tombstone's offset, the role has committed all that lay in the topic before the
//     tombstone's answer came, and nothing of the user is left in Redis but offsets and the time of the erasure.
//   - What was published before the tombstone and applied after it (a user's events on another partition) is erased again.
//   - What cannot be looked at is a row that says so. Nothing is taken for gone because it could not be seen.
package erasure
