// Package recommendations answers the requests topic: it decodes what the runtime gathered, hands it to
// services/recommender as one batch and sends each reply to where its request asked for it.
//
// It may import schemas, services, consumers/stream and producers/kafkaio.
//
// What always holds in it:
//
//   - Every request that can be answered gets exactly one reply, with the request's key and correlation id. A request
//     whose bytes make no sense gets an error reply if its headers say where to, and goes to the dead-letter topic.
//   - Nothing is written to a topic outside the allowed prefixes, whatever a request's headers say.
//   - A request counts as done (its offset may be committed) when its reply is acknowledged, not before.
package recommendations
