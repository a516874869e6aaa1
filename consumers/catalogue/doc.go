// Package catalogue turns item changes into item records in Redis and candidate vectors in Milvus.
//
// It may import schemas, services, consumers/stream and producers/kafkaio.
//
// What always holds in it:
//
//   - The record is written before the vector, so that a takedown counts at once, however far Milvus lags behind.
//   - An item whose vector is not known to be in Milvus has no indexed mark in Redis; a replay then indexes it again. The
//     mark is set only under the version that was indexed.
//   - An item whose new row the index can never hold keeps the row that it had; its record counts, and its change is a dead
//     letter.
//   - Of two changes to one item the larger version wins, whatever their order.
//   - Before an offset is committed, the topic's last record of each item says what Redis holds of it: what won over a refused change is
//     published again behind it.
package catalogue
