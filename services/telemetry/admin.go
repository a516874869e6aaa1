package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"syscall"
	"time"

	"github.com/freshet/freshet/services/terminal"
)

// AdminConfig says where a process that runs roles can be asked how it is.
type AdminConfig struct {
	// Address is host:port for /livez, /readyz and /metrics; port 0 takes a free one, which the log names. Empty, or off (an
	// empty variable of the environment counts as not set), opens none. Whoever reaches it may read all of it: leave it on a
	// loopback address, or on a network of your own.
	Address string `yaml:"address" env:"ADDRESS"`
	// Pprof opens /debug/pprof: profiles show what the process works on, and taking them costs time.
	Pprof bool `yaml:"pprof" env:"PPROF"`
}

// off is the address of no admin server.
const off = "off"

// DefaultAdminConfig is for this machine alone.
func DefaultAdminConfig() AdminConfig { return AdminConfig{Address: "127.0.0.1:9464"} }

// Off says that no admin server is wanted.
func (c AdminConfig) Off() bool { return c.Address == "" || c.Address == off }

// Validate names the first setting that cannot work.
func (c AdminConfig) Validate() error {
	if c.Off() {
		if c.Pprof {
			return fmt.Errorf("pprof is true but address is %q: give an address, such as 127.0.0.1:9464, or leave pprof false", c.Address)
		}
		return nil
	}
	_, port, err := net.SplitHostPort(c.Address)
	if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || number > 65535 {
		return fmt.Errorf("address is %q: give host:port, such as 127.0.0.1:9464, or off", c.Address)
	}
	return nil
}

// What bounds the admin server.
const (
	// readyTimeout bounds the look at what is missing: who asks has a time limit too, and a server that does not answer is
	// missing.
	readyTimeout = 2 * time.Second
	// headerTimeout and idleTimeout keep connections of peers that went silent from piling up.
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	// pageTimeout bounds a page. A profile of the processor takes 30 s unless its asker says otherwise.
	pageTimeout = 2 * time.Minute
	// maxHeader is far above what a browser sends.
	maxHeader = 16 << 10
	// closeTimeout is what a page that is being read may still take when the process ends.
	closeTimeout = time.Second
)

// Admin is a server that answers how a process is.
type Admin struct {
	health *Health
	server *http.Server
	at     net.Addr
	ended  chan struct{}
}

// OpenAdmin listens and serves, until Close. It returns nil where the configuration wants none. metrics may be nil.
func OpenAdmin(ctx context.Context, c AdminConfig, health *Health, metrics http.Handler, log *slog.Logger) (*Admin, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configuring the admin server: admin.%w", err)
	}
	if c.Off() {
		return nil, nil //nolint:nilnil // no server is wanted, and nil's methods do nothing
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", c.Address)
	if err != nil {
		remedy := "give an address of this machine"
		if errors.Is(err, syscall.EADDRINUSE) {
			remedy = "another process has it, perhaps another freshet run; give another port, or off"
		}
		return nil, fmt.Errorf("listening on admin.address %q: %w: %s (FRESHET_ADMIN_ADDRESS)", c.Address, err, remedy)
	}
	a := &Admin{health: health, at: listener.Addr(), ended: make(chan struct{})}
	a.server = &http.Server{
		Handler: a.pages(c, metrics), ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, WriteTimeout: pageTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		defer close(a.ended)
		if err := a.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the admin server has ended; the roles go on", "error", err)
		}
	}()
	log.Info("admin server listens", "address", a.Addr(), "pprof", c.Pprof)
	if ip, ok := listener.Addr().(*net.TCPAddr); ok && !ip.IP.IsLoopback() {
		log.Warn("the admin server is open to other machines: whoever reaches it can read metrics, and profiles if pprof is true",
			"address", a.Addr(), "pprof", c.Pprof)
	}
	return a, nil
}

// Addr is host:port as it really is; empty when there is no server.
func (a *Admin) Addr() string {
	if a == nil {
		return ""
	}
	return a.at.String()
}

// Close ends the server; a page that is being read has closeTimeout to be ready.
func (a *Admin) Close(ctx context.Context) {
	if a == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close()
	}
	<-a.ended
}

func (a *Admin) pages(c AdminConfig, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", a.live)
	mux.HandleFunc("GET /readyz", a.ready)
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	if c.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// report is the body of /livez and /readyz.
type report struct {
	Status string `json:"status"`
	// Missing is what the process waits for, a line each.
	Missing []string `json:"missing,omitempty"`
	// Degraded is what a process that is ready does worse than it could, a line each, with the remedy.
	Degraded []string `json:"degraded,omitempty"`
	Error    string   `json:"error,omitempty"`
}

func (a *Admin) live(w http.ResponseWriter, _ *http.Request) {
	if err := a.health.dead(); err != nil {
		answer(w, http.StatusServiceUnavailable, report{Status: "dead", Error: err.Error()})
		return
	}
	answer(w, http.StatusOK, report{Status: "alive"})
}

func (a *Admin) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if missing := a.health.missing(ctx); len(missing) > 0 {
		answer(w, http.StatusServiceUnavailable, report{Status: "not ready", Missing: missing})
		return
	}
	answer(w, http.StatusOK, report{Status: "ready", Degraded: a.health.worse(ctx)})
}

func answer(w http.ResponseWriter, code int, r report) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(terminal.JSON(w)).Encode(r) // who has hung up does not want it
}
