// Package redisdb is what items and profiles share about Redis: how to connect, how a key is named so that all keys of one
// user or item lie in one cluster slot, how a Lua script runs for many keys in a few pipelines, and what a value is that
// cannot be read.
//
// It may import schemas/secure and, of the services, calls. What always holds in it:
//
//   - Different ids never share a key, and every key of one id has the same hash tag, whatever bytes the id has.
//   - A script call touches the keys of one hash tag only, so that everything works on Redis Cluster unchanged.
//   - After a failover of a cluster or by sentinels, calls reach the new master within 2 s of its promotion.
//   - Nothing needs a Redis newer than 7.0.
package redisdb
