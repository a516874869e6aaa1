package online

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const scope = "github.com/freshet/freshet/pipelines/online"

// observe tells of each role whether its member has partitions, until stop is called. It asks no server: /readyz does.
func (y *System) observe() (stop func()) {
	meter := otel.Meter(scope)
	ready, err := meter.Int64ObservableGauge("freshet.ready",
		metric.WithDescription("1 while the member of a role has its partitions, else 0."))
	if err != nil {
		otel.Handle(err)
		return func() {}
	}
	registration, err := meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		for role, r := range y.runners {
			value := int64(0)
			if r.Ready() {
				value = 1
			}
			to.ObserveInt64(ready, value, metric.WithAttributes(attribute.String("role", string(role))))
		}
		return nil
	}, ready)
	if err != nil {
		otel.Handle(err)
		return func() {}
	}
	return func() {
		if err := registration.Unregister(); err != nil {
			otel.Handle(err)
		}
	}
}
