package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The versions, beside Redis's, which is the system's.
const (
	kafkaVersion  = "4.1.1"
	milvusVersion = "2.3.5"
)

// install fills folder once: fill works in a folder beside it, which takes its name when all is there, so that an installation
// that was cut short is none.
func (s *Servers) install(ctx context.Context, folder, what string, fill func(ctx context.Context, into string) error) error {
	if _, err := os.Stat(folder); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.say("installing %s into %s", what, folder)
	begin, part := time.Now(), folder+".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	if err := os.MkdirAll(part, 0o750); err != nil {
		return err
	}
	if err := fill(ctx, part); err != nil {
		return fmt.Errorf("installing %s: %w", what, err)
	}
	if err := os.Rename(part, folder); err != nil {
		return err
	}
	s.say("installed %s in %s", what, time.Since(begin).Round(100*time.Millisecond))
	return nil
}

// execute runs a program to its end; its output is shown only if it fails.
func execute(ctx context.Context, dir string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the programs are named in this package
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running %s: %w\n%s", strings.Join(args, " "), err, tail(out.Bytes(), 30))
	}
	return nil
}

// tail returns the last lines of a text.
func tail(text []byte, lines int) []byte {
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return bytes.Join(all[max(0, len(all)-lines):], []byte("\n"))
}

// program finds a program or says how to get it.
func program(name, remedy string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is not installed (%w): %s", name, err, remedy)
	}
	return path, nil
}

const (
	javaRemedy  = "install a Java runtime of version 17 or newer (Debian: apt-get install openjdk-17-jre-headless)"
	mavenRemedy = "install Maven (Debian: apt-get install maven)"
)

// pom makes Maven gather what Kafka's server and its tools consist of.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>freshet</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>` + kafkaVersion + `</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>` + kafkaVersion + `</version></dependency>
  </dependencies>
</project>
`

func (s *Servers) installKafka(ctx context.Context) error {
	if _, err := program("java", javaRemedy); err != nil {
		return err
	}
	return s.install(ctx, s.kafkaHome(), "Kafka "+kafkaVersion+" from Maven Central (54 MB)", func(ctx context.Context, into string) error {
		maven, err := program("mvn", mavenRemedy)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(into, "pom.xml"), []byte(pom)); err != nil {
			return err
		}
		return execute(ctx, into, nil, maven, "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime",
			"-DoutputDirectory="+filepath.Join(into, "libs"))
	})
}

const redisRemedy = "install Redis 7 (Debian: apt-get install redis-server; macOS: brew install redis)"

// installRedis takes the system's package: Redis publishes no binaries.
func (s *Servers) installRedis(ctx context.Context) error {
	if _, err := exec.LookPath("redis-server"); err == nil {
		return nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		_, err := program("redis-server", redisRemedy)
		return err
	}
	s.say("installing redis-server with apt-get")
	quiet := []string{"DEBIAN_FRONTEND=noninteractive"}
	if err := execute(ctx, "", quiet, apt, "install", "-y", "-q", "redis-server"); err != nil {
		// The package lists may be missing or old.
		if err := execute(ctx, "", quiet, apt, "update", "-q"); err != nil {
			return err
		}
		if err := execute(ctx, "", quiet, apt, "install", "-y", "-q", "redis-server"); err != nil {
			return err
		}
	}
	_, err = program("redis-server", redisRemedy)
	return err
}

// unpackMilvus is what the package's own start does first.
const unpackMilvus = "import sys, milvus; milvus._initialize_data_files(sys.argv[1])" //nolint:misspell // its name

// installMilvus takes the server and its libraries out of the Python package that carries them. Its Python wrapper is not used:
// it would be a parent between us and the server that a kill -9 orphans, and it cannot set etcd's ports.
func (s *Servers) installMilvus(ctx context.Context) error {
	what := "Milvus " + milvusVersion + " from PyPI (56 MB, 240 MB unpacked)"
	return s.install(ctx, s.milvusHome(), what, func(ctx context.Context, into string) error {
		python, err := program("python3", "install Python 3.8 or newer with pip")
		if err != nil {
			return err
		}
		packages := filepath.Join(into, "packages")
		if err := execute(ctx, into, nil, python, "-m", "pip", "install", "-q", "--no-deps", "--target", packages,
			"milvus=="+milvusVersion); err != nil {
			return err
		}
		env := []string{"PYTHONPATH=" + packages, "PYTHONDONTWRITEBYTECODE=1"}
		if err := execute(ctx, into, env, python, "-c", unpackMilvus, into); err != nil {
			return err
		}
		for _, name := range []string{"config.yaml.template", "glog.conf"} {
			if err := os.Rename(filepath.Join(packages, "milvus", "data", name), filepath.Join(into, name)); err != nil {
				return err
			}
		}
		return os.RemoveAll(packages)
	})
}
