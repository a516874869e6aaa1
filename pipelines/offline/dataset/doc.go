// Package dataset holds what models are trained and measured on: readers of public data sets, a synthetic world for
// machines that have none, data sets made of records from tables or topics (Records), and the splits that part past from future.
//
// It may import schemas and services/towers (for what counts as a taste). What always holds in it:
//
//   - Users and items are dense indexes, into Dataset.Users and Dataset.Items; an index says nothing by its size and is
//     never a feature.
//   - Events are sorted by time; events of one moment by the order that their source knows, or by lot, whatever the order of rows is.
//   - Nothing after a split leaks before it.
//   - An error in a file names file and line.
package dataset
