// Package rebuild restores what Redis and Milvus have lost from the topics, while the roles go on serving and applying what is
// new: Candidates brings back item records, vectors and the index, Profiles the users and the popularity of items.
//
// It may import services, consumers and pipelines/online and settings. What always holds in it:
//
//   - The ordinary handlers of the roles do the work, so that what is restored is what was.
//   - Each may be broken off at any moment and run again. What it had restored stays; nothing that a role wrote is lost.
//   - No memory grows with the number of users or items.
//   - The mark that all is whole (redisdb.Whole) is set last, and only by a rebuild that saw no Redis emptied under its hands.
package rebuild
