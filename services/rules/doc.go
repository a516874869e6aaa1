// Package rules holds the business rules that stand between a ranked list of candidates and a user's page, and the filters
// that requests bring along. Both speak one language: expr-lang expressions over the fields of an item and, for rules, of
// the request.
//
// It may import schemas, services/filter and services/ranking. What always holds in it:
//
//   - A set that Parse returns cannot fail on a type or a misspelt field while serving: expressions are checked on load.
//   - An expression that fails on an item keeps the item off the page; the failure shows in the waterfall.
//   - Conditions hold for all that Apply would keep: they say less than the rules wherever they cannot say the same. Apply looks
//     at the record again in any case, since the index may lag behind it.
//   - A request's filter sees the item's fields alone, and what it may cost is bounded before and while it runs.
//   - Filters come first, then rules that move scores, then rules that arrange the page, then pins; Parse refuses any other
//     order.
//   - The waterfall is a chain: what comes out of one step goes into the next.
//
// # How an expression is used
//
// build turns the syntax tree into a template of conditions (and, or, comparisons of one field with a value that the request or the
// expression itself gives); whatever does not fit is a leaf that runs on expr's virtual machine. bind folds in the request's
// values. The result is a tree of services/filter, which is asked about records without reflection, and which the index reads.
package rules
