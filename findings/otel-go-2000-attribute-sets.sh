#!/usr/bin/env bash
# OpenTelemetry's Go SDK folds all attribute sets after the 1,999th of an instrument into one, gauges too.
#
# Versions   go.opentelemetry.io/otel, sdk/metric 1.47.0, exporters/prometheus 0.69.0, Go 1.26.
# Guess      A metric by partition has as many series as there are partitions.
# Behaviour  There is a limit of 2,000 sets an instrument unless WithCardinalityLimit says otherwise (0 lifts it); nothing is logged. What
#            is beyond it becomes the series otel_metric_overflow="true", without the attributes. A counter's is a sum, which sum() still
#            counts. A gauge's is whichever set was recorded last: of the lag of 2,500 partitions 501 share one series that shows one of
#            them, so max(lag) and every alert by partition are blind to the rest.
# Freshet    Tells the lag of the partitions that a member owns, far fewer than the limit.
# Needs      Go.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

func main() {
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		panic(err)
	}
	meter := sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("example")
	records, _ := meter.Int64Counter("records")
	lag, _ := meter.Int64Gauge("lag")
	for partition := range 2500 {
		set := metric.WithAttributes(attribute.Int("partition", partition))
		records.Add(context.Background(), 1, set)
		behind := int64(1)
		if partition == 2100 {
			behind = 1_000_000
		}
		lag.Record(context.Background(), behind, set)
	}
	page := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	series := map[string]int{}
	for line := range strings.Lines(page.Body.String()) {
		name, _, _ := strings.Cut(line, "{")
		series[name]++
		if strings.Contains(line, "otel_metric_overflow") {
			fields := strings.Fields(line)
			fmt.Println("overflow of", name, "shows", fields[len(fields)-1])
		}
	}
	fmt.Println("series of records:", series["records_total"], "of lag:", series["lag"])
	fmt.Println("the partition that is a million behind shows:", strings.Contains(page.Body.String(), "1e+06"))
}
GO
cat >go.mod <<'MOD'
module example

go 1.26

require (
	github.com/prometheus/client_golang v1.25.0
	go.opentelemetry.io/otel v1.47.0
	go.opentelemetry.io/otel/exporters/prometheus v0.69.0
	go.opentelemetry.io/otel/metric v1.47.0
	go.opentelemetry.io/otel/sdk/metric v1.47.0
)
MOD
go mod tidy 2>/dev/null
go run . | sort | tee seen
cat >expected <<'SEEN'
overflow of lag shows 1
overflow of records_total shows 501
series of records: 2000 of lag: 2000
the partition that is a million behind shows: false
SEEN
diff expected seen
