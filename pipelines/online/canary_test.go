package online_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas/secure"
)

// Each secret of a canary run holds this word and nothing else does.
const canary = "canary"

// places are where the settings keep secrets: the value, and the file beside it.
func places(s *settings.Settings) map[string]struct {
	secret *secure.Secret
	file   *string
} {
	return map[string]struct {
		secret *secure.Secret
		file   *string
	}{
		"kafka":    {&s.Kafka.SASL.Password, &s.Kafka.SASL.PasswordFile},
		"redis":    {&s.Redis.Password, &s.Redis.PasswordFile},
		"sentinel": {&s.Redis.Sentinel.Password, &s.Redis.Sentinel.PasswordFile},
		"milvus":   {&s.Milvus.Password, &s.Milvus.PasswordFile},
		"token":    {&s.Milvus.Token, &s.Milvus.TokenFile},
		"registry": {&s.Registry.Password, &s.Registry.PasswordFile},
	}
}

// shown is everything that Freshet gave away.
type shown struct {
	recorder
	t *testing.T
}

func (s *shown) add(format string, args ...any) {
	_, err := fmt.Fprintf(&s.recorder, format+"\n", args...)
	require.NoError(s.t, err)
}

// settings shows settings in every form that people and programs print them in.
func (s *shown) settings(c settings.Settings) {
	text, err := c.YAML() // which `freshet config` prints
	require.NoError(s.t, err)
	s.add("%s %v %+v %#v", text, c, c, c)
	s.add("%+v", c.Producer(nil))
	text, err = json.Marshal(c.Kafka)
	require.NoError(s.t, err)
	s.add("%s", text)
	s.logger().Debug("settings", "all", c, "registry", c.Registry, "redis", &c.Redis)
	func() {
		defer func() { s.add("%+v", recover()) }()
		panic(c)
	}()
	s.add("%v", c.Validate())
}

// check finds nothing but that the run has said much.
func (s *shown) check(secrets ...string) {
	s.t.Helper()
	text := s.String()
	require.Greater(s.t, len(text), 1000)
	for _, secret := range append(secrets, canary) {
		at := strings.Index(text, secret)
		require.Negative(s.t, at, "%s", text[max(0, at-200):max(0, min(len(text), at+100))])
	}
}

// observe installs an SDK that keeps everything, and shows it at the end.
func (s *shown) observe() (finish func()) {
	spans, reader := tracetest.NewInMemoryExporter(), metric.NewManualReader()
	otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSyncer(spans)))
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))
	return func() {
		stubs := spans.GetSpans()
		require.NotEmpty(s.t, stubs, "something is traced")
		for _, span := range stubs {
			s.add("%s %v %v %+v %v", span.Name, span.Attributes, span.Events, span.Status, span.Resource)
		}
		var collected metricdata.ResourceMetrics
		require.NoError(s.t, reader.Collect(context.WithoutCancel(s.t.Context()), &collected))
		require.NotEmpty(s.t, collected.ScopeMetrics, "something is measured")
		s.add("%+v", collected)
		otel.SetTracerProvider(tracenoop.NewTracerProvider())
		otel.SetMeterProvider(metricnoop.NewMeterProvider())
	}
}

// registry answers whoever has the right password, and repeats what the others said.
func registry(t *testing.T, password string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, said, _ := r.BasicAuth()
		if said != password {
			http.Error(w, "I do not know "+said+", "+r.Header.Get("Authorization"), http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"id": len(r.URL.Path)})
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestNoSecretShows seeds secrets in every place where they may be given, and looks for them in everything that comes out, in good
// days and in bad ones.
func TestNoSecretShows(t *testing.T) {
	w := embeddedSite(t)
	out := &shown{t: t}
	finish := out.observe()
	good := w.settings
	good.Registry.URL, good.Registry.Username, good.Registry.Password = registry(t, "canary-registry"), "ann", "canary-registry"
	_, err := topics.Ensure(t.Context(), good.Kafka, good.Topics)
	require.NoError(t, err)
	folder := t.TempDir()

	t.Run("good days", func(t *testing.T) {
		out.settings(good)
		start(t, good, out.logger(), online.AllRoles()...)
		throughAll(t, good, good, out.logger())
	})
	t.Run("good days with files", func(t *testing.T) {
		s := good
		for name, place := range places(&s) {
			if *place.secret != "" {
				*place.file = filepath.Join(folder, name)
				require.NoError(t, os.WriteFile(*place.file, []byte(place.secret.Reveal()+"\n"), 0o600))
				*place.secret = ""
			}
		}
		out.settings(s)
		start(t, s, out.logger(), online.AllRoles()...)
		throughAll(t, s, s, out.logger())
	})
	for name, spoil := range badDays(t, folder) {
		s := good
		spoil(&s)
		out.settings(s)
		for _, role := range online.AllRoles() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			y, err := online.Open(ctx, s, []online.Role{role}, out.logger())
			if err == nil {
				require.NoError(t, y.Close())
			}
			require.NoError(t, ctx.Err(), "%s: it does not try for ever", name)
			out.add("%v %+v %#v", err, err, err)
			if role == online.Recommendations { // which needs every server
				require.ErrorContains(t, err, "remedy: ", name)
				require.Contains(t, err.Error(), settings.EnvPrefix, name)
			}
			cancel()
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		client, err := producers.NewRecommendationClient(ctx, s.Producer(out.logger()))
		if err == nil {
			require.NoError(t, client.Close(ctx))
		}
		out.add("%+v", err)
		cancel()
	}
	for _, refused := range refusedSettings(good) {
		err := refused.Validate()
		require.Error(t, err)
		out.add("%v %+v", err, err)
		_, err = producers.NewEventPublisher(t.Context(), refused.Producer(out.logger()))
		out.add("%v", err)
	}
	finish()
	out.check("-----BEGIN PRIVATE KEY-----")
}

// badDays are settings that look well, and with which a server would not have us.
func badDays(t *testing.T, folder string) map[string]func(*settings.Settings) {
	t.Helper()
	key := filepath.Join(folder, "own.key")
	require.NoError(t, os.WriteFile(key, []byte("-----BEGIN PRIVATE KEY-----\ncanary-key\n-----END PRIVATE KEY-----\n"), 0o600))
	twoLines := filepath.Join(folder, "two-lines")
	require.NoError(t, os.WriteFile(twoLines, []byte("canary-1\ncanary-2\n"), 0o600))
	wrong := filepath.Join(folder, "wrong")
	require.NoError(t, os.WriteFile(wrong, []byte("canary-wrong\n"), 0o600))
	days := map[string]func(*settings.Settings){
		"Kafka, mechanism plain": func(s *settings.Settings) { s.Kafka.SASL.Mechanism, s.Kafka.SASL.Password = "plain", "canary-wrong" },
		"Kafka, bad characters":  func(s *settings.Settings) { s.Kafka.SASL.Password = "canary-\u0007" },
		"Kafka, a key that is none": func(s *settings.Settings) {
			s.Kafka.TLS.CertFile, s.Kafka.TLS.KeyFile = s.Kafka.TLS.CAFile, key
		},
		"Redis, a key that is none": func(s *settings.Settings) {
			s.Redis.TLS.CertFile, s.Redis.TLS.KeyFile = s.Redis.TLS.CAFile, key
		},
		"Milvus, a key that is none": func(s *settings.Settings) {
			s.Milvus.TLS.CertFile, s.Milvus.TLS.KeyFile = s.Milvus.TLS.CAFile, key
		},
		"Kafka, the system's authorities":  func(s *settings.Settings) { s.Kafka.TLS.CAFile = "" },
		"Redis, the system's authorities":  func(s *settings.Settings) { s.Redis.TLS.CAFile = "" },
		"Milvus, the system's authorities": func(s *settings.Settings) { s.Milvus.TLS.CAFile = "" },
		"a registry that is away":          func(s *settings.Settings) { s.Registry.URL = "http://127.0.0.1:1" },
		"Milvus, token": func(s *settings.Settings) {
			s.Milvus.Username, s.Milvus.Password, s.Milvus.Token = "", "", "admin:canary-wrong"
		},
		"sentinels": func(s *settings.Settings) {
			s.Redis.Sentinel.Master, s.Redis.Sentinel.Addresses = "m", s.Redis.Addresses
			s.Redis.Sentinel.Username, s.Redis.Sentinel.Password = "admin", "canary-wrong"
		},
	}
	for name, place := range places(&settings.Settings{}) {
		if place.secret == nil || name == "sentinel" || name == "token" {
			continue
		}
		days[name+", wrong password"] = func(s *settings.Settings) { *places(s)[name].secret = "canary-wrong" }
		for _, file := range []string{wrong, twoLines, filepath.Join(folder, "none")} {
			days[name+", "+filepath.Base(file)] = func(s *settings.Settings) {
				*places(s)[name].secret, *places(s)[name].file = "", file
			}
		}
	}
	return days
}

// refusedSettings hold each secret where it does not belong, or twice.
func refusedSettings(good settings.Settings) (all []settings.Settings) {
	for _, spoil := range []func(*settings.Settings){
		func(s *settings.Settings) { s.Kafka.Brokers = []string{"kafka://ann:canary-1@kafka:9092"} },
		func(s *settings.Settings) { s.Redis.Addresses = []string{"redis://ann:canary-1@redis:6379"} },
		func(s *settings.Settings) { s.Milvus.Address = "https://ann:canary-1@milvus:19530" },
		func(s *settings.Settings) { s.Registry.URL = "https://ann:canary-1@registry" },
		func(s *settings.Settings) { s.Kafka.SASL.Mechanism, s.Kafka.TLS = "", secure.TLS{} },
		func(s *settings.Settings) { s.Milvus.Token = "canary-token" },
		func(s *settings.Settings) { s.Redis.Sentinel.Password = "canary-sentinel" },
	} {
		s := good
		spoil(&s)
		all = append(all, s)
	}
	for name := range places(&good) {
		s := good
		*places(&s)[name].secret, *places(&s)[name].file = "canary-twice", "/run/secret"
		all = append(all, s)
	}
	return all
}

// TestAWrongPasswordEndsTheStartAtOnce with the words that an operator needs.
func TestAWrongPasswordEndsTheStartAtOnce(t *testing.T) {
	w := embeddedSite(t)
	_, err := topics.Ensure(t.Context(), w.settings.Kafka, w.settings.Topics)
	require.NoError(t, err)
	for want, spoil := range map[string]func(*settings.Settings){
		"kafka.sasl.password (FRESHET_KAFKA_SASL_PASSWORD), kafka.sasl.password_file, kafka.sasl.username, kafka.sasl.mechanism": func(s *settings.Settings) {
			s.Kafka.SASL.Password = "canary-wrong"
		},
		"redis.password (FRESHET_REDIS_PASSWORD), redis.password_file, redis.username": func(s *settings.Settings) {
			s.Redis.Password = "canary-wrong"
		},
		"milvus.password (FRESHET_MILVUS_PASSWORD), milvus.password_file, milvus.username, milvus.token": func(s *settings.Settings) {
			s.Milvus.Password = "canary-wrong"
		},
		"kafka.tls.ca_file (FRESHET_KAFKA_TLS_CA_FILE)": func(s *settings.Settings) { s.Kafka.TLS.CAFile = "" },
		"redis.tls.ca_file (FRESHET_REDIS_TLS_CA_FILE)": func(s *settings.Settings) { s.Redis.TLS.CAFile = "" },
		"milvus.tls.ca_file (FRESHET_MILVUS_TLS_CA":     func(s *settings.Settings) { s.Milvus.TLS.CAFile = "" },
	} {
		s := w.settings
		spoil(&s)
		begin := time.Now()
		_, err := online.Open(t.Context(), s, online.AllRoles(), new(recorder).logger())
		require.ErrorContains(t, err, want)
		require.Less(t, time.Since(begin), 10*time.Second, want)
	}
}
