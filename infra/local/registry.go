package local

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// registryPath is where Apicurio speaks Confluent's protocol.
const registryPath = "/apis/ccompat/v7"

// registryVersion is the newest that runs on Java 17.
const registryVersion = "3.0.9"

func (s *Servers) registryHome() string {
	return filepath.Join(s.dir, "install", "apicurio-registry-"+registryVersion)
}

// registry is Apicurio with its embedded database in a file. It asks nobody for a password: Apicurio only knows users of an
// OpenID provider.
func (s *Servers) registry() unit {
	return unit{
		name: Registry, ports: s.ports(registryPort, registryTLSPort), patience: 3 * time.Minute,
		install: s.installRegistry, prepare: s.prepareRegistry, probe: s.probeRegistry,
	}
}

func (s *Servers) installRegistry(ctx context.Context) error {
	if _, err := program("java", javaRemedy); err != nil {
		return err
	}
	what := "Apicurio Registry " + registryVersion + " from Maven Central (109 MB)"
	return s.install(ctx, s.registryHome(), what, func(ctx context.Context, into string) error {
		maven, err := program("mvn", mavenRemedy)
		if err != nil {
			return err
		}
		if err := execute(ctx, into, nil, maven, "-q", "-B", "dependency:copy", "-DoutputDirectory="+into,
			"-Dartifact=io.apicurio:apicurio-registry-app:"+registryVersion+":tar.gz:all"); err != nil {
			return err
		}
		archive := filepath.Join(into, "apicurio-registry-app-"+registryVersion+"-all.tar.gz")
		if err := execute(ctx, into, nil, "tar", "xzf", archive); err != nil {
			return err
		}
		return os.Remove(archive)
	})
}

func (s *Servers) prepareRegistry(context.Context) (command, error) {
	runner := filepath.Join(s.registryHome(), "apicurio-registry-app-"+registryVersion+"-runner.jar")
	return command{
		// One connection instead of twenty, and a minute to make it instead of five seconds: a busy machine ended its start.
		args: []string{"java", "-Xmx256m", "-Dquarkus.datasource.h2.jdbc.acquisition-timeout=60",
			"-Dapicurio.datasource.jdbc.initial-size=1", "-Dapicurio.datasource.jdbc.min-size=1", "-jar", runner},
		env: []string{
			"QUARKUS_HTTP_HOST=127.0.0.1", "QUARKUS_HTTP_PORT=" + strconv.Itoa(registryPort+s.shift),
			"QUARKUS_HTTP_SSL_PORT=" + strconv.Itoa(registryTLSPort+s.shift), "QUARKUS_HTTP_INSECURE_REQUESTS=enabled",
			"QUARKUS_HTTP_SSL_CERTIFICATE_FILES=" + s.tlsFile("server.pem"),
			"QUARKUS_HTTP_SSL_CERTIFICATE_KEY_FILES=" + s.tlsFile("server.key"),
			"QUARKUS_HTTP_ACCESS_LOG_ENABLED=false",
			"APICURIO_DATASOURCE_URL=jdbc:h2:file:" + filepath.Join(s.folder(Registry), "data", "registry"),
		},
		dir: s.folder(Registry),
	}, nil
}

// probeRegistry asks over both listeners for what any client asks.
func (s *Servers) probeRegistry(ctx context.Context) error {
	trusting, err := trust(s.description.CA)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting, DisableKeepAlives: true}}
	for _, base := range []string{s.description.Registry.URL, s.description.Registry.TLS} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/subjects", http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		if err := response.Body.Close(); err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s/subjects is answered by %s", base, response.Status)
		}
	}
	return nil
}
