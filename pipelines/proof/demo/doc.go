// Package demo tells Freshet's story on one machine in a minute: the embedded servers, a world of users and items, training,
// and seven steps from a click to a fresher recommendation, each of them checked.
//
// It may import everything but main and pipelines/commands. What always holds in it: nothing is staged. Every figure is
// measured in the run that prints it, every claim is a check that fails the run when it does not hold, and all data goes
// through the same topics, consumers and stores as in production.
package demo
