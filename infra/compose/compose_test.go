package compose

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type service struct {
	Image       string
	Build       map[string]string
	Ports       []string
	Environment map[string]string
	Command     []string
	Volumes     []string
	Profiles    []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck struct{ Test []string }
}

type project struct {
	Services map[string]service
	Volumes  map[string]any
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into), path)
}

func load(t *testing.T) (p project) {
	t.Helper()
	read(t, "compose.yaml", &p)
	require.Greater(t, len(p.Services), 10)
	return p
}

// example returns the settings of freshet.example.yaml by the variables that override them.
func example(t *testing.T) map[string]any {
	t.Helper()
	var settings map[string]any
	read(t, "../../freshet.example.yaml", &settings)
	flat := map[string]any{}
	var walk func(prefix string, at map[string]any)
	walk = func(prefix string, at map[string]any) {
		for name, value := range at {
			name = prefix + "_" + strings.ToUpper(name)
			if inner, nested := value.(map[string]any); nested {
				walk(name, inner)
			} else {
				flat[name] = value
			}
		}
	}
	walk("FRESHET", settings)
	return flat
}

// pinned is a version, down to the patch where a project has such.
var pinned = regexp.MustCompile(`^[a-z][a-z/-]*:v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)*$`)

func TestImagesArePinned(t *testing.T) {
	for name, s := range load(t).Services {
		if s.Build != nil {
			require.Equal(t, "freshet:local", s.Image, name)
			require.FileExists(t, filepath.Join(s.Build["context"], s.Build["dockerfile"]), name)
			continue
		}
		require.Regexp(t, pinned, s.Image, name)
	}
	text, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	for _, from := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(text), -1) {
		require.Regexp(t, pinned, from[1])
	}
	require.Contains(t, string(text), "\nUSER 10001\n", "not root")
	module, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(module))
	require.Contains(t, string(text), "FROM golang:"+version[1]+"-", "the compiler that go.mod asks for")
}

// TestTheImageRunsImportedBundles: with cgo, on the C library that it was built with, and with ONNX Runtime where the program looks.
func TestTheImageRunsImportedBundles(t *testing.T) {
	file, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	text := string(file)
	require.Contains(t, text, "RUN CGO_ENABLED=1 go build ")
	require.NotContains(t, text, "alpine", "ONNX Runtime is linked to glibc")
	const release, version = "bookworm", "12" // which are one
	stages := regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(text, -1)
	require.Len(t, stages, 3)
	require.Regexp(t, "-"+release+"(-slim)?$", stages[0][1])
	require.Regexp(t, "-"+release+"$", stages[1][1])
	require.Regexp(t, `^debian:`+version+`\.\d+-slim$`, stages[2][1])
	require.Contains(t, text, " libstdc++6 ")

	named := regexp.MustCompile(`(?m)^ENV ` + onnxruntimeVariable + `=(\S+)$`).FindStringSubmatch(text)
	require.NotNil(t, named)
	require.Contains(t, text, "COPY --from=onnxruntime /libonnxruntime.so.1 "+named[1]+"\n")
	require.Contains(t, text, `RUN cp "$(bash .ci/onnxruntime)" /libonnxruntime.so.1`)
	ignored, err := os.ReadFile("Dockerfile.dockerignore")
	require.NoError(t, err)
	require.Contains(t, string(ignored), "\n!.ci/onnxruntime\n")
	script, err := os.ReadFile("../../.ci/onnxruntime")
	require.NoError(t, err)
	pin := regexp.MustCompile(`(?m)^version=1\.(\d+)\.\d+$`).FindStringSubmatch(string(script))
	require.NotNil(t, pin)
	minor, err := strconv.Atoi(pin[1])
	require.NoError(t, err)
	require.GreaterOrEqual(t, minor, 24, "the least that services/towers/onnxruntime takes")
	require.Len(t, regexp.MustCompile(`sum=[0-9a-f]{64}\b`).FindAllString(string(script), -1), 2, "one for each chip")
	require.Contains(t, string(script), "sha256sum --check")
}

// TestAReleaseBuildsTheSameImage: goreleaser gives the Dockerfile what Docker Compose gives it, under the names of its arguments.
func TestAReleaseBuildsTheSameImage(t *testing.T) {
	var release struct {
		Images []struct {
			Dockerfile string
			ExtraFiles []string          `yaml:"extra_files"`
			BuildArgs  map[string]string `yaml:"build_args"`
		} `yaml:"dockers_v2"`
	}
	read(t, "../../.goreleaser.yaml", &release)
	require.Len(t, release.Images, 1)
	image := release.Images[0]
	require.Equal(t, "infra/compose/Dockerfile", image.Dockerfile)
	ignored, err := os.ReadFile("Dockerfile.dockerignore")
	require.NoError(t, err)
	var taken []string
	for _, line := range regexp.MustCompile(`(?m)^!(\S+)$`).FindAllStringSubmatch(string(ignored), -1) {
		taken = append(taken, line[1])
	}
	require.ElementsMatch(t, taken, image.ExtraFiles)
	for _, file := range image.ExtraFiles {
		_, err := os.Stat(filepath.Join("../..", file))
		require.NoError(t, err)
	}
	file, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	arguments := regexp.MustCompile(`(?m)^ARG (.*)$`).FindStringSubmatch(string(file))
	require.NotNil(t, arguments)
	for name := range image.BuildArgs {
		require.Contains(t, strings.Fields(arguments[1]), name)
		require.Contains(t, string(file), "services/build."+strings.ToLower(name)+"=$"+name)
	}
	require.Len(t, image.BuildArgs, len(strings.Fields(arguments[1])))

	needed, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .Module}}{{if .Module.Main}}{{.Dir}}{{end}}{{end}}", "../..").Output()
	require.NoError(t, err)
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	for dir := range strings.FieldsSeq(string(needed)) {
		inner, err := filepath.Rel(root, dir)
		require.NoError(t, err)
		if inner != "." {
			require.Contains(t, image.ExtraFiles, strings.Split(filepath.ToSlash(inner), "/")[0], "what the program is built from")
		}
	}
}

// onnxruntimeVariable is services/towers/onnxruntime.Variable, which this room may not import.
const onnxruntimeVariable = "FRESHET_ONNXRUNTIME"

func TestEverythingThatCanBeAskedHasAHealthCheck(t *testing.T) {
	p := load(t)
	for name, s := range p.Services {
		switch name {
		case "topics", "otel-collector":
			require.Empty(t, s.Healthcheck.Test, "%s ends, or holds nothing that could ask", name)
		default:
			require.NotEmpty(t, s.Healthcheck.Test, name)
		}
		for needed, how := range s.DependsOn {
			require.Contains(t, p.Services, needed, name)
			if how.Condition == "service_healthy" {
				require.NotEmpty(t, p.Services[needed].Healthcheck.Test, "%s waits for %s", name, needed)
			} else {
				require.Equal(t, "service_completed_successfully", how.Condition, name)
			}
		}
	}
}

func TestPortsAreTheDefaults(t *testing.T) {
	p, defaults := load(t), example(t)
	published := func(name string) string {
		require.Len(t, p.Services[name].Ports, 1, name)
		parts := strings.Split(p.Services[name].Ports[0], ":")
		require.Len(t, parts, 3, name)
		return parts[0] + ":" + parts[1]
	}
	require.Equal(t, []any{published("kafka")}, defaults["FRESHET_KAFKA_BROKERS"])
	require.Equal(t, []any{published("redis")}, defaults["FRESHET_REDIS_ADDRESSES"])
	require.Equal(t, published("milvus"), defaults["FRESHET_MILVUS_ADDRESS"])
	require.Equal(t, published("otel-collector"), defaults["FRESHET_TELEMETRY_OTLP_ENDPOINT"])
	for name, s := range p.Services {
		for _, port := range s.Ports {
			require.True(t, strings.HasPrefix(port, "127.0.0.1:"), "%s publishes %s to everybody", name, port)
		}
	}
}

// TestSettingsOfTheRoles: each is a setting that there is, names a service where it names a host, and says nothing of topics.
func TestSettingsOfTheRoles(t *testing.T) {
	p, defaults := load(t), example(t)
	roles := []string{}
	for name, s := range p.Services {
		if s.Build == nil {
			continue
		}
		if name != "topics" {
			roles = append(roles, name)
			require.Equal(t, []string{"run", name}, s.Command)
			require.Equal(t, []string{"freshet"}, s.Profiles)
		}
		for variable, value := range s.Environment {
			require.Contains(t, defaults, variable, "%s sets what is no setting", name)
			require.False(t, strings.HasPrefix(variable, "FRESHET_TOPICS_"), "%s: topics have one source, the defaults", variable)
			host := regexp.MustCompile(`^(?:http://)?([a-z-]+):(\d+)`).FindStringSubmatch(value)
			if host != nil {
				require.Contains(t, p.Services, host[1], variable)
				require.True(t, listens(p.Services[host[1]], host[2]), "%s: %s does not listen on %s", variable, host[1], host[2])
			}
		}
	}
	slices.Sort(roles)
	require.Equal(t, []string{"catalogue", "interactions", "recommendations"}, roles)
	require.Equal(t, []string{"topics", "create"}, p.Services["topics"].Command)
}

// listens says whether a service has a port published, or names it as a listener of its own.
func listens(s service, port string) bool {
	return slices.ContainsFunc(s.Ports, func(published string) bool { return strings.HasSuffix(published, ":"+port) }) ||
		strings.Contains(s.Environment["KAFKA_LISTENERS"], ":"+port)
}

func TestKafkaTakesWhatFreshetSends(t *testing.T) {
	broker, defaults := load(t).Services["kafka"].Environment, example(t)
	require.Equal(t, "false", broker["KAFKA_AUTO_CREATE_TOPICS_ENABLE"], "topics are made by Freshet")
	require.Contains(t, broker["KAFKA_ADVERTISED_LISTENERS"], fmt.Sprintf("HOST://%v", defaults["FRESHET_KAFKA_BROKERS"].([]any)[0]))
	require.Equal(t, 0, defaults["FRESHET_TOPICS_REPLICATION"], "the broker decides")
	require.Equal(t, "1", broker["KAFKA_DEFAULT_REPLICATION_FACTOR"])
	largest := 1048588 // Kafka's default
	if text, set := broker["KAFKA_MESSAGE_MAX_BYTES"]; set {
		var err error
		largest, err = strconv.Atoi(text)
		require.NoError(t, err)
	}
	require.LessOrEqual(t, defaults["FRESHET_WRITER_MAX_BATCH_BYTES"], largest)
	for _, retention := range []string{"KAFKA_LOG_RETENTION_MS", "KAFKA_LOG_RETENTION_HOURS", "KAFKA_NUM_PARTITIONS"} {
		require.NotContains(t, broker, retention, "topics have one source")
	}
}

func TestWhatIsMountedIsThere(t *testing.T) {
	p := load(t)
	for name, s := range p.Services {
		for _, volume := range s.Volumes {
			from, _, _ := strings.Cut(volume, ":")
			switch {
			case strings.HasPrefix(volume, "${FRESHET_BUNDLE_DIR:-../../bundle}:"+s.Environment["FRESHET_BUNDLE"]+":ro"):
			case strings.HasPrefix(from, "."):
				_, err := os.Stat(from)
				require.NoError(t, err, name)
			default:
				require.Contains(t, p.Volumes, from, name)
			}
		}
	}
}

func TestPrometheusAndCollector(t *testing.T) {
	p := load(t)
	var scraped struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			Job     string                       `yaml:"job_name"`
			Configs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	read(t, "prometheus.yaml", &scraped)
	targets := map[string][]string{}
	for _, job := range scraped.ScrapeConfigs {
		for _, config := range job.Configs {
			targets[job.Job] = append(targets[job.Job], config.Targets...)
		}
	}
	var roles []string
	for name, s := range p.Services {
		if slices.Equal(s.Command, []string{"run", name}) {
			_, port, _ := strings.Cut(s.Environment["FRESHET_ADMIN_ADDRESS"], ":")
			roles = append(roles, name+":"+port)
			require.Contains(t, s.Healthcheck.Test[len(s.Healthcheck.Test)-1], ":"+port+"/readyz")
		}
	}
	require.ElementsMatch(t, roles, targets["freshet"], "the job that the alert rules name")
	for job, list := range targets {
		for _, target := range list {
			host, _, _ := strings.Cut(target, ":")
			require.Contains(t, p.Services, host, job)
		}
	}
	require.Contains(t, p.Services["prometheus"].Volumes, "../grafana/alerts.yaml:/etc/prometheus/rules/alerts.yaml:ro")
	require.Equal(t, []string{"/etc/prometheus/rules/*.yaml"}, scraped.RuleFiles)

	var collector struct {
		Receivers struct {
			OTLP struct {
				Protocols struct{ GRPC struct{ Endpoint string } }
			}
		}
	}
	read(t, "otel-collector.yaml", &collector)
	_, port, _ := strings.Cut(collector.Receivers.OTLP.Protocols.GRPC.Endpoint, ":")
	require.True(t, listens(p.Services["otel-collector"], port))
}

// TestGrafanaFindsItsDashboards holds the mounts against the provisioning files.
func TestGrafanaFindsItsDashboards(t *testing.T) {
	s := load(t).Services["grafana"]
	require.Equal(t, "http://prometheus:9090", s.Environment["PROMETHEUS_URL"])
	var provisioned struct {
		Providers []struct{ Options struct{ Path string } }
	}
	read(t, "../grafana/provisioning/dashboards/freshet.yaml", &provisioned)
	require.Len(t, provisioned.Providers, 1)
	require.Contains(t, s.Volumes, "../grafana/dashboards:"+provisioned.Providers[0].Options.Path+":ro")
}

func TestDockerReadsIt(t *testing.T) {
	line := []string{"docker", "compose"}
	if out, err := exec.CommandContext(t.Context(), "docker", "compose", "version").CombinedOutput(); err != nil {
		alone, notThere := exec.LookPath("docker-compose")
		if notThere != nil {
			t.Skipf("Docker Compose is not installed: %v: %s", err, out)
		}
		line = []string{alone}
	}
	line = append(line, "-f", "compose.yaml", "--profile", "freshet", "config", "--quiet")
	out, err := exec.CommandContext(t.Context(), line[0], line[1:]...).CombinedOutput()
	require.NoError(t, err, string(out))
}
