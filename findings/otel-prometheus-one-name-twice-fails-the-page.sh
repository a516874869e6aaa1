#!/usr/bin/env bash
# OpenTelemetry's Prometheus exporter for Go: one instrument made twice with two number types, and /metrics answers 500 for everything.
#
# Versions   go.opentelemetry.io/otel, sdk/metric 1.47.0, exporters/prometheus 0.69.0, client_golang 1.25.0, Go 1.26.
# Guess      Two libraries that make a counter of one name, one Int64Counter and one Float64Counter, give a warning and a merged series, or
#            lose the second: the specification asks for a warning and for both streams.
# Behaviour  The SDK keeps both streams, the exporter gives both to the registry, and the registry's handler refuses the whole page: 500,
#            no metric of the process is scraped any more, in this process only from the moment when the second one was first used.
#            promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError} serves the rest.
# Freshet    Makes each instrument in one room.
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
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdk "go.opentelemetry.io/otel/sdk/metric"
)

func main() {
	registry := prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	if err != nil {
		panic(err)
	}
	meter, ctx := sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("example"), context.Background()
	scrape := func(when string, opts promhttp.HandlerOpts) {
		page := httptest.NewRecorder()
		promhttp.HandlerFor(registry, opts).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
		fmt.Println(when, page.Code, "other_total there:", strings.Contains(page.Body.String(), "other_total{"))
	}
	other, _ := meter.Int64Counter("other")
	other.Add(ctx, 1)
	first, _ := meter.Int64Counter("events")
	first.Add(ctx, 1)
	second, _ := meter.Float64Counter("events")
	scrape("made:", promhttp.HandlerOpts{})
	second.Add(ctx, 1)
	scrape("used:", promhttp.HandlerOpts{})
	scrape("continue on error:", promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}
GO
cat >go.mod <<'MOD'
module example

go 1.26

require (
	github.com/prometheus/client_golang v1.25.0
	go.opentelemetry.io/otel/exporters/prometheus v0.69.0
	go.opentelemetry.io/otel/sdk/metric v1.47.0
)
MOD
go mod tidy 2>/dev/null
go run . 2>/dev/null | tee seen
cat >expected <<'SEEN'
made: 200 other_total there: true
used: 500 other_total there: false
continue on error: 200 other_total there: true
SEEN
diff expected seen
