// Package milvus is a Milvus 2.3 in this process: a gRPC server over the proto that the Go SDK speaks, with exact search over
// columns in memory. It imports nothing of the project but package faults.
//
// What always holds: a read sees every write that was answered before it began, and no half of a batch; a batch that one row
// makes invalid changes nothing; a call that the server does not understand, be it a filter, a field type or a parameter, is
// an error and never ignored. Reasons, codes and the grammar of filters were compared with Milvus 2.3.5.
//
// What it does not do:
//   - build an index: search is exact, whatever index is asked for. Recall below one shows on a real server alone.
//   - keep anything: no data outlives the process, Flush is answered and does nothing.
//   - be late: a real server shows a write after up to 0.4 s (Bounded and Eventually), this one at once, at any consistency
//     level; a collection is loaded in the moment it is asked for, where a real one takes seconds.
//   - keep two rows of one key: Insert replaces, as Upsert does. A real server returns duplicates.
//   - schemas beyond BOOL, INT8 to INT64, FLOAT, DOUBLE, VARCHAR, ARRAY of VARCHAR, one FLOAT_VECTOR and a VARCHAR primary key;
//     metrics beyond IP and L2; partitions, dynamic fields, databases, resource groups, hybrid search, group by,
//     bulk import, compaction.
//   - filters beyond comparisons of a field with a literal, in, not in, like (prefix), array_contains, array_contains_any,
//     array_contains_all, and, or, not and parentheses: no arithmetic, no comparison of two fields, no array elements or lengths.
//   - users and roles through its API: a test names users and their grants to the server directly. API keys.
//   - be lenient where 2.3.5 is: it refuses arrays over their capacity and columns of a wrong type (2.3.5 stores the first
//     and dies of the second), and an ef below the number of results asked for.
package milvus
