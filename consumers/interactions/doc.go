// Package interactions turns interaction events into user profiles: it decodes a batch, hands it to services/profiles and
// reports the records that failed.
//
// It may import schemas, services, consumers/stream and producers/kafkaio.
//
// What always holds in it: a record is either applied, or named in the failures that go back to the runtime (a malformed or
// senseless one as permanent, so that it goes to the dead-letter topic); none is dropped. An event is of the user in its value; a key
// that says otherwise, and a tombstone of somebody unknown, are counted and told by their place, never by the id.
package interactions
