// Package description is a first look at a data set, before anything is trained on it: what is in it, what of it will be learnt from
// and asked for, and what makes figures on it worth nothing.
//
// It may import pipelines/offline/dataset with its tables, schemas, and services/towers for what a tower reads. What always holds in it:
//
//   - The events are gone over once, in the order of time.
//   - A red mark is a reason not to train; each mark has a remedy.
package description
