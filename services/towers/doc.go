// Package towers is the two-tower model as it serves: the item tower that turns catalogue features into a vector, the user
// tower that turns what a user did into an embedding, and the bundle in which both travel from training to serving.
//
// The item vector is e = id embedding + mean of the content embeddings. The same e is what the index holds, what the item
// record holds beside it, and what an event feeds into the user tower; a score is the plain inner product u · e.
//
// The user tower follows what users do (Act: an item's vector, a kind, a time): Follow moves a user's State and makes the embedding. What
// callers see of the way in which it does that is one number, Reach. The tower's own way is a gated linear recurrence (in the family of
// LRURec, HGRN and Griffin's RG-LRU) over the item vectors of the user's acts, oldest first. Its whole memory is a state of Layers x Dim
// floats and the time of the act that moved it last, so that one act costs O(Dim²) and Reach is 0:
//
//	x = LayerNorm(e)
//	per layer:
//	  a, c, g = LayerNorm(x) W_p + b_p + K[kind] + G[gap]       three parts, each Dim wide
//	  f       = sigmoid(a)
//	  h       = f * h + (1 - f) * c             the state
//	  x       = x + (LayerNorm(h) * silu(g)) W_o + b_o
//	  x       = x + gelu(LayerNorm(x) W_1 + b_1) W_2 + b_2      4 x Dim wide inside
//	u = LayerNorm(x)
//
// K has a row for each kind of event that the tower has learnt to tell apart, G one for each octave of the time since the event
// that moved the tower before. So a purchase may weigh more than a view, a dislike push away, and what is long ago be forgotten
// sooner, as far as the data says so. Towers of data without kinds or times have no such tables.
//
// A user tower has one such recurrence or several, its heads, trained apart and served side by side: vector, state and
// embedding are the heads' parts one after the other, so that u · e is the sum of the heads' scores. Seeds that disagree on a
// list mostly agree on what belongs into it, and the search stays one inner product.
//
// The query tower is a weighted mean of embeddings of words and character n-grams, hashed into buckets:
//
//	q = L v / |v| with v = sum of weight(b) E(b) over the buckets b of the text's words and n-grams
//
// It lives in the same space: q · e ranks items for a text, and L is the typical length of u, so that a share of u added to q
// personalises a search.
//
// Towers trained elsewhere come as ONNX models (see Foreign) and stand behind the same types: a bundle whose manifest says so has
// ONNX Runtime run them. They read kinds and gaps where their models have such inputs. A model that encodes whole histories has no
// state, and Reach says how many acts before a new one it sees again. The two engines behind UserTower are recurrence.go and
// foreign_user.go; no other room knows which one runs.
//
// The package may import schemas, services/towers/matrix, services/towers/onnxruntime and general libraries, and knows neither
// Kafka nor any server.
//
// What always holds in it:
//   - Follow and FollowBatch give the same bits for the same acts on one machine, however these are cut into calls. Between
//     machines with other vector units the last bits may differ, and so they may between the calls of a foreign tower, whose
//     arithmetic is its runtime's. A history that has lost its oldest acts makes another embedding than the state that saw
//     them: the state forgets by itself, and the first act that is left has a gap of 0, unknown.
//   - Gaps are made in one place, Clock: what a tower reads of an act is the same in serving, training and evaluation.
//   - A packed State (Append, ParseState) is what lies in Redis: bytes of earlier builds stay readable.
//   - What a text or an item costs is bounded, however long or hostile it is.
//   - A tower never changes after it was loaded, and all its methods may be called from many goroutines at once.
//   - One definition of features (Features.Tokens) serves training and serving.
//   - A bundle is verified on load (format, sizes, checksums, dimensions), and each refusal says what is wrong and what to do.
package towers
