package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what a run ran on; load generator, roles and, on one machine, the servers share it.
type Machine struct {
	Cores     int    `json:"cores"`
	Processor string `json:"processor,omitempty"`
	Go        string `json:"go"`
	Platform  string `json:"platform"`
}

func thisMachine() Machine {
	return Machine{
		Cores: runtime.GOMAXPROCS(0), Processor: fieldOf("/proc/cpuinfo", "model name"), Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// String is one line for people.
func (m Machine) String() string {
	line := fmt.Sprintf("%d cores, %s, %s", m.Cores, m.Go, m.Platform)
	if m.Processor != "" {
		line += ", " + m.Processor
	}
	return line
}

// fieldOf reads the first line "name: value" of a file of Linux's /proc; empty where there is none.
func fieldOf(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, found := strings.Cut(lines.Text(), ":")
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// residentBytes is the memory that this process holds (Linux); 0 where the system does not tell.
func residentBytes() int64 {
	kib, err := strconv.ParseInt(strings.TrimSuffix(fieldOf("/proc/self/status", "VmRSS"), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

// Servers says what was measured against; a server that a bench does not need is empty.
type Servers struct {
	Embedded bool   `json:"embedded"`
	Kafka    string `json:"kafka,omitempty"`
	Redis    string `json:"redis,omitempty"`
	Milvus   string `json:"milvus,omitempty"`
}

// String is one line for people.
func (s Servers) String() string {
	var parts []string
	if s.Embedded {
		parts = append(parts, "embedded in this process")
	}
	for _, p := range []string{s.Kafka, s.Redis, s.Milvus} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

// describeServers asks the servers of a lab for their versions. Kafka does not tell its own.
func (l *lab) describeServers(ctx context.Context) (Servers, error) {
	s := Servers{Embedded: l.Embedded}
	if l.kafka != nil {
		s.Kafka = "Kafka at " + strings.Join(l.base.Kafka.Brokers, ", ")
	}
	if l.rdb != nil {
		info, _ := l.rdb.Info(ctx, "server").Result() // who may not ask, or asks miniredis, goes without the version
		s.Redis = named("Redis", infoField(info, "redis_version"), l.base.Redis.Addresses...)
	}
	if l.milvus != nil {
		version, err := l.milvus.GetVersion(ctx)
		if err != nil {
			return s, fmt.Errorf("asking Milvus for its version: %w", err)
		}
		s.Milvus = named("Milvus", version, l.base.Milvus.Address)
	}
	return s, nil
}

func named(what, version string, addresses ...string) string {
	if version != "" {
		what += " " + version
	}
	return what + " at " + strings.Join(addresses, ", ")
}

// infoField reads a field of Redis's INFO; empty where there is none.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
