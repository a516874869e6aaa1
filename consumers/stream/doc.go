// Package stream is the consumer runtime: it turns a topic into calls of a handler, at least once, through rebalances,
// crashes and failing servers.
//
// Two shapes share it. A Consumer gives each partition's records in order, in batches, to a Handler: for events, where one
// record builds on another. A Gatherer gives what has queued on all partitions to a GatherHandler, several batches at a
// time, each record done on its own: for requests, where a slow one must not hold up the others. DeadLetters writes what
// could not be handled, and lists and redrives it.
//
// Package partition below it reads one partition and calls handlers; package replay reads whole topics outside of a group.
//
// It may import partition, schemas, producers/kafkaio, kafka-go and the API of OpenTelemetry, and nothing else of the project.
// What always holds in it:
//
//   - A record's offset is committed only after the record is done: handled, or a dead letter that all in-sync replicas
//     have. Of one partition nothing is committed beyond a record that is not done.
//   - Commits are made within the generation that the partition was assigned in, so one that lost it cannot rewind others.
//   - Handlers run on contexts that outlive Run's, so a signal does not break off what is being handled.
//   - A handler's panic, a poison record and a server that is away never end the process. A poison record costs its
//     neighbours nothing; a server that is away makes them wait, in place and in order.
//   - What is held in memory is bounded: for a Consumer two fetches and a batch for each partition, for a Gatherer
//     MaxOutstandingBytes and a fetch for each partition. A fetch is measured as the broker stores it: compressed.
//   - A batch has one `process` span, in the trace of its first sampled record and linked to those of the others, which have
//     spans of their own in theirs. The context of a Handler or GatherHandler is in it. What nobody traces costs nothing for
//     each record. The lag is told of the partitions that a member owns, and of no others.
//   - Nothing polls: a new record is on its way to the handler as soon as the broker has it.
//
// # The way of a batch
//
//  1. member.run joins the group; the coordinator assigns partitions for one generation.
//  2. generation.start finds out where each begins: behind the committed offset, or where settle and StartAt say.
//  3. partition.Reader.Poll has a long poll open for each partition; batcher.next cuts what came into batches.
//  4. partition.Handling.Run calls the Handler until every record is done, or worker.bury has written its dead letter.
//  5. committer.mark, and soon a commit of all partitions in one request.
//
// # Stopping
//
// When Run's context ends, or partitions are taken away, nothing new is begun. What is in the handler may finish within
// DrainTimeout, is committed, and only then are the partitions given up; the group waits for that. What waits in a back-off
// is left to the next owner at once. Abort is for the second signal: it is as if the process had died.
//
// # What handlers must expect
//
// The same record again. The sequences that lead to it, each of which is closed against loss and none against repetition:
//
//   - The handler writes; the process dies; the commit is never sent. The next owner handles the record again.
//   - The handler takes longer than DrainTimeout to end after a rebalance began; its context ends; the next owner begins with
//     the same batch, perhaps while a handler that ignores its context still writes.
//   - A member is paused beyond its session (a suspended machine); another one takes over; the first wakes up and finishes
//     the batch it was in. Its commit is refused, but its handler has written: a store must refuse an older write itself.
//   - A dead letter is written; the commit is lost. The next owner writes a second one, for the same original offset.
//
// # Transactions
//
// Everything here reads committed. Records of an aborted transaction never come, and those of an open one, with all that lie
// behind it in its partition, come when it ends. A position moves over the ends
// of transactions, aborted records and what compaction removed, and is committed there too, so that who compares it with the
// log's end sees no lag when all is done. The lag counts to the log's end: an open transaction that never ends must show.
package stream
