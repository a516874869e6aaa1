package faults

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// proxy stands between the roles and one server.
type proxy struct {
	t *testing.T
	*toxiproxy.Proxy
}

func newProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &proxy{t, toxiproxy.NewProxy(server, "p", "127.0.0.1:0", upstream)}
	require.NoError(t, p.Start())
	t.Cleanup(p.Stop)
	return p
}

type attributes map[string]any

// add has what goes through the proxy suffer, in both directions.
func (p *proxy) add(kind string, a attributes) {
	p.t.Helper()
	for _, stream := range []string{"upstream", "downstream"} {
		text, err := json.Marshal(map[string]any{"type": kind, "stream": stream, "attributes": a})
		require.NoError(p.t, err)
		_, err = p.Toxics.AddToxicJson(strings.NewReader(string(text)))
		require.NoError(p.t, err)
	}
}

func (p *proxy) heal() { p.Toxics.ResetToxics(p.t.Context()) }

// cut ends all connections, and refuses new ones until restart.
func (p *proxy) cut() { p.Stop() }

func (p *proxy) restart() { require.NoError(p.t, p.Start()) }
