package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/services/telemetry"
	"github.com/freshet/freshet/services/terminal"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// Global holds the flags that every command takes.
type Global struct {
	ConfigFile string `name:"config" short:"c" placeholder:"FILE" env:"FRESHET_CONFIG" help:"Configuration file (YAML); FRESHET_… variables override it."`
	LogLevel   string `enum:"debug,info,warn,error" default:"info" help:"Least level that is logged: debug, info, warn or error."`
	LogFormat  string `enum:"text,json" default:"text" help:"Form of the log lines: text or json."`
}

// Streams is what a command reads from and writes to.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Standard is the process's own streams.
func Standard() Streams { return Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr} }

// Env is what every command runs in.
type Env struct {
	Streams
	// Context ends at the first SIGINT or SIGTERM; a second one ends the process.
	Context context.Context //nolint:containedctx // it is the command's whole life
	Log     *slog.Logger

	configFile string
	noticed    bool
}

// Settings loads the configuration, and says once what of it has another name now.
func (e *Env) Settings() (settings.Settings, error) {
	s, err := settings.Load(e.configFile)
	if err == nil && !e.noticed {
		e.noticed = true
		for _, notice := range s.Notices() {
			e.Log.Warn(notice)
		}
	}
	return s, err
}

// usageError is a failure that the command line itself caused.
type usageError struct{ error }

// usage makes an error that ends with exit code 2.
func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Execute parses args into table, runs the chosen command and returns the exit code. The end of ctx is to the command what a
// first signal is.
func Execute(ctx context.Context, table any, global *Global, args []string, streams Streams) int {
	exited := -1
	parser, err := kong.New(table,
		kong.Name("freshet"),
		kong.Description("Freshet turns interactions into fresh recommendations: Kafka in, Redis and Milvus inside, Kafka out."),
		Variables(),
		kong.Writers(streams.Out, streams.Err), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		terminal.PrintError(streams.Err, "freshet:", err)
		return exitFailure
	}
	chosen, err := parser.Parse(args)
	if exited >= 0 { // --help has been printed
		return exited
	}
	if err != nil {
		terminal.PrintError(streams.Err, "freshet:", err)
		_, _ = terminal.Fprintln(streams.Err, "See freshet --help.")
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal finds the default handler, which ends the process at once
	env := &Env{Streams: streams, Context: ctx, Log: global.logger(streams.Err), configFile: global.ConfigFile}
	return exitCode(chosen.Run(env), streams.Err)
}

func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	terminal.PrintError(stderr, "freshet:", err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailure
}

func (g *Global) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(g.LogLevel)) // kong has checked it
	return telemetry.NewLogger(w, level, g.LogFormat == "json")
}

// observe lets a command be seen from outside, as the configuration says; pull is for one that serves the page of metrics.
// What a command prints to standard output stays whole: the exporter stdout writes beside the log, but for run, which prints
// nothing else.
// end sends what is left, and never makes a command fail.
func (e *Env) observe(s settings.Settings, spans io.Writer, pull bool) (seen *telemetry.Telemetry, end func(), err error) {
	seen, err = telemetry.Setup(e.Context, s.Telemetry, telemetry.Options{Pull: pull, Stdout: spans, Log: e.Log})
	if err != nil {
		return nil, nil, err
	}
	return seen, func() {
		if err := seen.Shutdown(e.Context); err != nil {
			e.Log.Warn("not all telemetry was sent", "error", err)
		}
	}, nil
}

// isTerminal tells whether w is a person's screen.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
