// Package filter holds conditions on items as trees. services/rules builds them, from rules files and from the filters of
// requests, and asks them about items; services/candidates writes what the index can ask of them as Milvus's text.
//
// It may import schemas alone. What always holds in it:
//
//   - A tree is never written after it is built: requests on all cores share it.
//   - And, Or and Not ask their parts in order and skip those that cannot decide any more. A part that fails decides.
//   - Not stands around leaves only (negation normal form): Negate sees to it for what it is given.
//   - Another room may add leaves of its own. Who reads a tree for another purpose than Holds must take an unknown leaf for one
//     that may hold for any item.
package filter
