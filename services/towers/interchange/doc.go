// Package interchange carries towers across the border to other tools as ONNX models.
//
// Export writes a bundle's towers as models of their own, and their vocabulary beside them:
//
//	item_tower.onnx    id int64 [N], tokens int64 [N, T]                      -> vector float32 [N, dim]
//	user_tower.onnx    state float32 [N, S], item float32 [N, dim]            -> next_state [N, S], embedding [N, dim]
//	user_history.onnx  items float32 [N, L, dim], lengths int64 [N]           -> state [N, S], embedding [N, dim]
//	                   where the tower reads them: kind int64 [N], gap int64 [N] beside item; kinds, gaps [N, L] beside items
//	vocabulary.json    "ids" and "tokens": the entry at index i is row i + 1 of id or tokens
//
// Row 0 means "none": an item without an id embedding, or the padding behind an item's last token. What the tokens of an item
// are is towers.ItemFeatures.Tokens, and each counts once. A state of zeros is that of a user who has done nothing;
// user_tower.onnx moves it by one event, user_history.onnx reads a whole history, oldest event first, of which what lies beyond its
// length does not count (L is 1 at least; a length may be 0). A kind is a row of the metadata's freshet.event_kinds, names parted by
// commas, as a token is one of the vocabulary; a gap is a towers.Gap. All heads are in each model, as they are in each vector.
//
// Import makes a bundle of towers trained elsewhere that have such ports (towers.Foreign is the contract), or of a table of item
// vectors and a foreign user tower. What Export writes comes back, with either of its user towers. ONNX Runtime runs them behind the
// same types, so that no other room knows the difference.
//
// The package may import schemas, services/towers and general libraries. What always holds in it:
//   - Outputs of exported models equal the towers' own to 1e-5, under any runtime that keeps to the operators' definitions.
//   - Equal bundles give equal files.
package interchange
