package topics

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// compare lists where a topic is not as wished.
func (w wish) compare(have Description) []Difference {
	var found []Difference
	add := func(property, want, have, remedy string) {
		found = append(found, Difference{Topic: w.Name, Property: property, Want: want, Have: have, Remedy: remedy})
	}
	if n := len(have.Partitions); n != w.Partitions {
		add("partitions", strconv.Itoa(w.Partitions), strconv.Itoa(n), w.partitionsRemedy(n))
	}
	if w.replication > 0 && have.Replication != w.replication {
		add("replication", strconv.Itoa(w.replication), strconv.Itoa(have.Replication),
			"move its replicas with `kafka-reassign-partitions`, or set replication to "+strconv.Itoa(have.Replication))
	}
	for _, name := range slices.Sorted(maps.Keys(w.settings)) {
		if got := have.Settings[name]; got != w.settings[name] {
			add(name, w.settings[name], got, fmt.Sprintf(
				"`kafka-configs --alter --entity-type topics --entity-name %s --add-config %s=%s`%s",
				w.Name, name, w.settings[name], w.settingRemedy(name)))
		}
	}
	return found
}

func (w wish) partitionsRemedy(have int) string {
	if have > w.Partitions {
		return fmt.Sprintf("Kafka cannot take partitions away, so set %s.partitions to %d", w.field, have)
	}
	return fmt.Sprintf("set %s.partitions to %d, or add partitions with `kafka-topics --alter --topic %s --partitions %d`, "+
		"which moves keys to other partitions", w.field, have, w.Name, w.Partitions)
}

func (w wish) settingRemedy(name string) string {
	if name == retentionMs {
		return fmt.Sprintf(", or set %s.retention to match", w.field)
	}
	return ""
}
