// Command cmd is the command line of package local: it installs, starts, kills and stops the servers that Freshet runs on, on
// this machine and without containers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/freshet/freshet/infra/local"
)

const usage = `usage: go run ./infra/local/cmd COMMAND

  up [NAME...]        install, start and await servers (all without a name); print the environment that points Freshet at them
  down [NAME...]      stop servers (all without a name); the data stays
  wipe [NAME...]      stop servers and remove their data
  status              say which servers serve
  start NAME...       start servers again
  stop NAME...        stop servers in order (SIGTERM)
  kill NAME...        kill servers (kill -9), as a crash does
  pause NAME...       make servers hang (SIGSTOP)
  resume NAME...      end a pause
  env [--tests]       print the environment for Freshet, or for its test suites

NAME is one of %v.
The folder is $FRESHET_SERVERS_DIR, or freshet-servers in the user's cache folder.
`

var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "servers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	servers, err := local.Open("")
	if err != nil {
		return err
	}
	servers.Progress = progress
	if len(args) == 0 {
		fmt.Fprintf(progress, usage, servers.Names())
		return errUsage
	}
	command, names := args[0], args[1:]
	one := map[string]func(string) error{
		"stop": servers.Stop, "kill": servers.Kill, "pause": servers.Pause, "resume": servers.Resume,
		"start": func(name string) error { return servers.Start(ctx, name) },
	}
	switch command {
	case "up":
		if err := servers.Up(ctx, names...); err != nil {
			return err
		}
		return environment(servers, nil, out)
	case "down":
		return servers.Down(ctx, names...)
	case "wipe":
		return servers.Wipe(ctx, names...)
	case "status":
		return status(ctx, servers, out)
	case "env":
		return environment(servers, names, out)
	}
	do, known := one[command]
	if !known || len(names) == 0 {
		fmt.Fprintf(progress, usage, servers.Names())
		return errUsage
	}
	for _, name := range names {
		if err := do(name); err != nil {
			return err
		}
	}
	return nil
}

func environment(servers *local.Servers, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("env", flag.ContinueOnError)
	tests := flags.Bool("tests", false, "for the test suites")
	if err := flags.Parse(args); err != nil {
		return errUsage
	}
	for _, variable := range servers.Env(*tests) {
		fmt.Fprintln(out, variable)
	}
	return nil
}

func status(ctx context.Context, servers *local.Servers, out io.Writer) error {
	states, err := servers.Status(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, state := range states {
		line := state.Condition
		if state.PID != 0 {
			line = "serves"
			if state.Problem != nil {
				line = fmt.Sprintf("%s, does not serve: %v", state.Condition, state.Problem)
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\n", state.Name, state.Address, state.PID, line)
	}
	return table.Flush()
}
