// Package tuning searches the recipe of training: it draws trials at random from a space of settings, trains each, and keeps
// giving more epochs to the better ones.
//
// It may import pipelines/offline/training and general libraries. It sees a training.Input and no more, so that what a test asks for
// cannot reach it.
//
// What always holds in it:
//   - Trials are compared on the validation cases of training alone.
//   - Trial n of a seed is the same whatever the number of trials; trial 0 is the configuration as it is, so that the best is
//     never worse than that by the validation.
//   - A trial that is done is on the disk before the next begins, and the same search goes on from there.
package tuning
