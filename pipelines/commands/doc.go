// Package commands is the command line: one file for each command, each a small struct of flags and a Run that calls the
// pipeline it stands for.
//
// It may import everything but main. What always holds in it: a command writes its result to Out and everything else to Err;
// the exit code is 0 for success, 1 for failure and 2 for wrong usage.
package commands
