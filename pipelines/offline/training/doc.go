// Package training trains both towers on what users did, one next item predicted from every position of every user's
// sequence, and gives a model that can be scored or written as a bundle.
//
// Forward and backward passes are written by hand over packed sequences: the windows of a batch lie one after the other in
// one matrix, without padding. A worker takes its share of the windows through in packs small enough for the cache, with the
// logits computed block by block, so that memory does not grow with positions x items.
//
// It may import services/towers (and matrix beneath it), schemas, pipelines/offline/dataset (for the adapters in dataset.go)
// and general libraries. It speaks in dense indexes: item i is Input.Items[i].
//
// What always holds in it:
//   - The same input, configuration, seed and number of workers give the same bits on one machine, unless a time budget
//     makes the learning rate follow the clock: gradients are summed in the order of the workers.
//   - The trainer's forward pass equals the served towers' (to rounding); a test compares them at every position.
//   - Each backward pass has a test against finite differences.
//   - Only the past is seen: vocabulary, popularity and embeddings come from Input.Sequences alone.
package training
