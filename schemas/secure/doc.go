// Package secure is what the connections to Kafka, Redis, Milvus and the schema registry share about safety: the TLS section
// of their settings, secrets that cannot be printed by accident, and the words for why a server would not have us.
//
// It may import nothing of the project, so that producers and services alike can use it. What always holds in it:
//
//   - A Secret shows as asterisks wherever it is formatted, logged or marshalled; only Reveal gives it away.
//   - There is no way to switch the check of a server's certificate off.
//   - Files are read when a connection is made, not when settings are checked; an error names the setting, the file and the
//     remedy, and nothing of what the file holds.
package secure
