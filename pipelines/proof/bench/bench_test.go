package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/producers/kafkaio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// small is a run on embedded servers that takes a second or two.
func small(t *testing.T) (o Options, progress *bytes.Buffer) {
	t.Helper()
	progress = &bytes.Buffer{}
	o = DefaultOptions()
	o.Embedded, o.Users, o.Items, o.Events, o.Repeats, o.Warmup, o.Duration = true, 60, 300, 1500, 2, 300, 100*time.Millisecond
	o.Progress = progress
	// What is slow because the machine is busy must not look like a server that is away.
	o.Settings.Redis.ReadTimeout, o.Settings.Redis.WriteTimeout, o.Settings.Milvus.CallTimeout = patience, patience, patience
	return o, progress
}

// requireSound holds a report against what all must be: each figure there, each ratio that of its figures, both forms written.
func requireSound(t *testing.T, r *Report, o Options) {
	t.Helper()
	require.NotEmpty(t, r.Rows)
	require.True(t, r.Servers.Embedded)
	for _, row := range r.Rows {
		require.Len(t, row.Ours.Repeats, o.Repeats, row.Name)
		for i, value := range row.Ours.Repeats {
			require.Positive(t, value, row.Name)
			if row.Floor != nil {
				require.InEpsilon(t, value/row.Floor.Repeats[i], row.Ratio.Repeats[i], 1e-9, row.Name)
			}
		}
	}
	var text, encoded bytes.Buffer
	require.NoError(t, r.WriteTable(&text))
	require.NoError(t, r.WriteJSON(&encoded))
	var again Report
	require.NoError(t, json.Unmarshal(encoded.Bytes(), &again))
	require.Equal(t, *r, again)
	for _, row := range r.Rows {
		require.Contains(t, text.String(), row.Name)
	}
}

func TestIngest(t *testing.T) {
	o, progress := small(t)
	r, err := Ingest(t.Context(), o)
	require.NoError(t, err, "%s", progress)
	requireSound(t, r, o)
	require.Equal(t, 2, strings.Count(progress.String(), "floor: reading"), "each repeat is told: %s", progress)
}

func TestNothingIsLeftBehind(t *testing.T) {
	kafkaServer, redisServer, milvusServer := servertest.StartKafka(t), servertest.StartRedis(t), servertest.StartMilvus(t)
	o, progress := small(t)
	o.Embedded, o.Repeats = false, 1
	o.Settings.Kafka.Brokers = []string{kafkaServer.Addr()}
	o.Settings.Redis.Addresses, o.Settings.Redis.Cluster = redisServer.Addresses, len(redisServer.Addresses) > 1
	o.Settings.Milvus.Address, o.Settings.Milvus.DialTimeout = milvusServer.Addr(), servertest.MilvusDialTimeout
	client := o.Settings.Kafka.Client()
	defer kafkaio.CloseIdle(client)
	benches := func() (names []string) {
		kafkaio.CloseIdle(client)
		listed, err := client.Metadata(t.Context(), &kafka.MetadataRequest{})
		require.NoError(t, err)
		for _, topic := range listed.Topics {
			if strings.HasPrefix(topic.Name, "freshet.bench.") {
				names = append(names, topic.Name)
			}
		}
		return names
	}
	before := benches()
	_, err := Catalogue(t.Context(), o)
	require.NoError(t, err, "%s", progress)
	require.Eventually(t, func() bool { return len(benches()) <= len(before) }, 10*time.Second, 50*time.Millisecond,
		"Kafka removes a topic soon after it is told to")
}

func TestServe(t *testing.T) {
	o, progress := small(t)
	r, err := Serve(t.Context(), o)
	require.NoError(t, err, "%s", progress)
	requireSound(t, r, o)
}

func TestServersAwayAreRefusedWithARemedy(t *testing.T) {
	o, _ := small(t)
	o.Embedded = false
	o.Settings.Kafka.Brokers = []string{"127.0.0.1:1"}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := Ingest(ctx, o)
	require.ErrorContains(t, err, "127.0.0.1:1")
	require.ErrorContains(t, err, remedyAway)
}

func TestCatalogue(t *testing.T) {
	o, progress := small(t)
	r, err := Catalogue(t.Context(), o)
	require.NoError(t, err, "%s", progress)
	requireSound(t, r, o)
}

func TestFresh(t *testing.T) {
	o, progress := small(t)
	o.Events = 3000
	r, err := Fresh(t.Context(), o)
	require.NoError(t, err, "%s", progress)
	requireSound(t, r, o)
}

func TestFlood(t *testing.T) {
	o, progress := small(t)
	r, err := Flood(t.Context(), o, 20_000)
	require.NoError(t, err, "%s", progress)
	requireRows(t, r)
	require.Contains(t, progress.String(), "20000 of 20000 events of one id")
	_, err = Flood(t.Context(), o, 10)
	require.ErrorContains(t, err, "flood is 10")
}

// requireRows holds a report of which some rows are measured once against what it must be.
func requireRows(t *testing.T, r *Report) {
	t.Helper()
	for _, row := range r.Rows {
		require.Positive(t, row.Ours.Median, row.Name)
		require.Equal(t, row.Floor != nil, row.Ratio != nil, row.Name)
	}
}
