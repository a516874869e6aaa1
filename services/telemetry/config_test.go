package telemetry

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas/secure"
)

func TestConfig(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	for want, spoil := range map[string]func(*Config){
		`service_name is empty: give a name, such as freshet`:                func(c *Config) { c.ServiceName = "" },
		`traces.exporter is "jaeger": give none, otlp or stdout`:             func(c *Config) { c.Traces.Exporter = "jaeger" },
		`traces.sample_ratio is 1.5: give a share from 0 to 1, such as 0.01`: func(c *Config) { c.Traces.SampleRatio = 1.5 },
		`traces.sample_ratio is -1: `:                                        func(c *Config) { c.Traces.SampleRatio = -1 },
		`traces.sample_ratio is NaN: `:                                       func(c *Config) { c.Traces.SampleRatio = math.NaN() },
		`metrics.interval is 0s: `:                                           func(c *Config) { c.Metrics.Interval = 0 },
		`otlp.endpoint is "http://c:4317": `:                                 func(c *Config) { c.OTLP.Endpoint = "http://c:4317" },
		`otlp.endpoint is "c": `:                                             func(c *Config) { c.OTLP.Endpoint = "c" },
		`otlp.endpoint is "c:": `:                                            func(c *Config) { c.OTLP.Endpoint = "c:" },
		`otlp.tls.ca_file is "ca.pem" but `:                                  func(c *Config) { c.OTLP.TLS.CAFile = "ca.pem" },
		`otlp.headers (not shown) are no list `:                              func(c *Config) { c.OTLP.Headers = "hunter2" },
		`otlp.headers_file is "f" and headers `:                              func(c *Config) { c.OTLP.Headers, c.OTLP.HeadersFile = "a=hunter2", "f" },
		`otlp.timeout is 0s: `:                                               func(c *Config) { c.OTLP.Timeout = 0 },
		`shutdown_timeout is 0s: `:                                           func(c *Config) { c.ShutdownTimeout = 0 },
	} {
		c := DefaultConfig()
		spoil(&c)
		err := c.Validate()
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestHeaders(t *testing.T) {
	for text, want := range map[secure.Secret]map[string]string{
		"":                           {},
		"Authorization=Bearer%20abc": {"authorization": "Bearer abc"},
		"a = 1 , b=x=y,,":            {"a": "1", "b": "x=y"},
	} {
		got, err := parseHeaders(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []secure.Secret{"hunter2", "=hunter2", "a=hunter2%zz", "hunter2 b=1", "authorization: hunter2=="} {
		_, err := parseHeaders(text)
		require.ErrorIs(t, err, errHeaders)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestAdminConfig(t *testing.T) {
	for _, address := range []string{"127.0.0.1:9464", ":9464", "[::1]:0", "0.0.0.0:80", "", "off"} {
		require.NoError(t, AdminConfig{Address: address}.Validate(), "%q", address)
	}
	for _, address := range []string{"localhost", "a:b", "a:99999", "http://a:1", "a:-1"} {
		require.ErrorContains(t, AdminConfig{Address: address}.Validate(), "address is ", "%q", address)
	}
	require.True(t, AdminConfig{}.Off())
	require.True(t, AdminConfig{Address: "off"}.Off())
	require.False(t, DefaultAdminConfig().Off())
	require.ErrorContains(t, AdminConfig{Address: "off", Pprof: true}.Validate(), "pprof is true")
}
