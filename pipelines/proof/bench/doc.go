// Package bench measures how fast Freshet is against floors: the least that the same servers must do for the same outcome,
// measured in the same run, on the same machine, in turn with Freshet's own figure. What it reports are ratios; a rate alone
// says more about the machine than about the program.
//
// It may import everything but main and pipelines/commands, and, alone beside their owners, the clients of Kafka and Milvus:
// a floor that went through Freshet's own rooms would hide what those cost.
//
// What always holds in it:
//
//   - Floor and Freshet take turns (floor, ours, floor, ours …), so that what else the machine does meets both. A ratio is the
//     median over the repeats, each floor with the figure beside it.
//   - What Freshet is measured by are the real roles of pipelines/online, the real publishers and clients, and vectors of
//     the configured size. The towers are random: their taste costs no time.
//   - Latency under load is counted from the time at which a call was due (openLoop), so that a stall is not hidden by the
//     calls that it kept from being made.
//   - Topics, groups, keys and collections have a random name of the run and are removed at its end, so that it can run beside
//     a live system; schemas are not registered.
package bench
