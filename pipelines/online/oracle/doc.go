// Package oracle says what profiles must be: a plain fold over the interactions topic, one event after the other, that shares
// nothing with services/profiles but the user tower's Advance and its gaps. It is an aid of tests.
//
// It may import schemas, services, consumers/stream and producers/kafkaio. What always holds in it: it is slow and simple; it
// never writes; and what it compares it compares to the bit.
package oracle
