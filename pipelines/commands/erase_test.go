package commands_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/online/erasure"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/services/towers/towertest"
)

// TestErase erases a user whose keys are JSON, as Kafka Connect writes them: a raw one would be a dead letter and erase nobody.
func TestErase(t *testing.T) {
	servers := install(t)
	t.Setenv("FRESHET_BUNDLE", towertest.Write(t, towertest.Shape{Version: "m1"}, nil))
	t.Setenv("FRESHET_TOPICS_INTERACTIONS_KEY_FORMAT", "json")
	run := func(in string, args ...string) outcome { return execute(t.Context(), in, args...) }
	require.Zero(t, run("", "topics", "create").code)

	for id, says := range map[string]string{"": "it must not be empty", "a\tb": "without control characters"} {
		o := run("", "erase", id)
		require.Equal(t, 2, o.code)
		require.Contains(t, o.err, "nothing was erased: invalid user_id")
		require.Contains(t, o.err, says)
		require.Empty(t, o.out)
	}
	// Nobody applies it: the command says so, and fails.
	alone := run("", "erase", "ann", "--wait", "100ms")
	require.Equal(t, 1, alone.code, alone.err)
	require.Contains(t, alone.err, "the tombstone is published, but not all of the erasure was seen")
	require.Regexp(t, `role interactions +│ unknown │ the tombstone at \d:0 is not applied`, alone.out)

	errs, stop := background(t, "run", "interactions")
	awaitReady(t, errs)
	event := func(id, item string) string {
		return `{"event_id":"` + id + `","user_id":"ann","item_id":"` + item + `","type":"click","occurred_at":"` +
			time.Now().UTC().Format(time.RFC3339Nano) + `"}` + "\n"
	}
	published := run(event("1", "a")+event("2", "b"), "publish", "interactions")
	require.Zero(t, published.code, published.err)
	require.Eventually(t, func() bool { return strings.Contains(run("", "inspect", "user", "ann").out, "2 click") }, patience, time.Millisecond)
	// A dead letter of the user, under the user's key.
	cfg := kafkaio.DefaultConfig()
	cfg.Brokers = []string{servers.Kafka.Addr()}
	w := kafkaio.NewWriter(cfg, kafkaio.DefaultWriterConfig(), discard())
	_, err := w.Write(t.Context(), kafkaio.Message{
		Topic: servers.topic("interactions"), Partition: kafkaio.AnyPartition, Key: []byte(`"ann"`), Value: []byte("poison"),
	})
	require.NoError(t, err)
	require.NoError(t, w.Close(t.Context()))

	o := run("", "erase", "ann", "--json")
	require.Zero(t, o.code, "%s %s", o.err, o.out)
	require.Empty(t, otherKeys(t, o.out))
	var report erasure.Report
	require.NoError(t, json.Unmarshal([]byte(o.out), &report))
	require.True(t, report.Confirmed)
	rows := map[string]erasure.Row{}
	for _, row := range report.Rows {
		rows[strings.TrimPrefix(row.Where, "topic "+servers.topic(""))] = row
	}
	for where, state := range map[string]erasure.State{
		"role interactions": erasure.Gone, "profile in Redis": erasure.Gone, "seen items in Redis": erasure.Gone,
		"sets of who waits for items": erasure.Gone, "rebuild under way in Redis": erasure.Gone, "memory of the roles": erasure.Unknown,
		"interactions": erasure.Left, "requests": erasure.Left, "replies": erasure.Left, "interactions.dlt": erasure.Left,
		"requests.dlt": erasure.Gone, "role recall": erasure.Unknown, "outside of Freshet": erasure.Unknown,
	} {
		require.Equal(t, state, rows[where].State, "%s: %+v", where, report.Rows)
	}
	require.Contains(t, rows["interactions.dlt"].Found, "dead letters of the user: 1;")
	const day = 24 * time.Hour
	require.WithinDuration(t, time.Now().Add(187*day), *rows["interactions"].Until, 7*day, "retention, and a segment")
	require.WithinDuration(t, time.Now().Add(37*day), *rows["interactions.dlt"].Until, 7*day)

	require.Contains(t, run("", "inspect", "user", "ann").out, `user "ann" was erased at 20`)
	redriven := run("", "deadletters", "redrive", "interactions")
	require.Contains(t, redriven.out, "0 published again, 1 left alone because their user was erased")

	// A user who goes on using the product has a new life, and that is told.
	require.Zero(t, run(event("3", "c"), "publish", "interactions").code)
	require.Eventually(t, func() bool { return strings.Contains(run("", "inspect", "user", "ann").out, "1 click") }, patience, time.Millisecond)
	again := run("", "erase", "ann")
	require.Zero(t, again.code, again.err)
	require.Regexp(t, `profile in Redis +│ gone`, again.out)
	require.NotContains(t, errs.String(), "ann", "no log line names a user")
	require.Zero(t, stop().code)
}
