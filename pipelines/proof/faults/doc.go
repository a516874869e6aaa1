// Package faults is a suite of tests alone: Freshet's roles as processes of their own on real servers, under steady load,
// while servers and roles are killed, stopped, emptied, slowed down and cut off. FRESHET_TEST_FAULTS=1 runs it (`task faults`);
// it kills the servers of infra/local, so nobody else may use those meanwhile.
//
// It may import the project and, as an aid, infra/local. What always holds in it:
//
//   - Load is open-loop: what is due is sent, whatever has come of the rest.
//   - After each fault the oracle has the word: every profile is the plain fold over the topic, every item has its last state in
//     Redis and Milvus, every request that the brokers took in time has a reply.
//   - A case states its bounds (recovery, late replies) and fails beyond them.
//   - What was measured is printed, and written to FRESHET_TEST_FAULTS_REPORT or .cache/freshet-faults.md.
package faults
