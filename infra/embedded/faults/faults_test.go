package faults_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/faults"
)

var errA, errB = errors.New("a"), errors.New("b")

func TestPlan(t *testing.T) {
	type rule struct {
		kind string
		nth  int
		err  error
	}
	for name, c := range map[string]struct {
		rules []rule
		calls []string
		want  []error
	}{
		"no rules":                        {nil, []string{"x"}, []error{nil}},
		"the next":                        {[]rule{{"x", 1, errA}}, []string{"x", "x"}, []error{errA, nil}},
		"the third, others do not count":  {[]rule{{"x", 3, errA}}, []string{"x", "y", "x", "x"}, []error{nil, nil, nil, errA}},
		"every":                           {[]rule{{"x", faults.Every, errA}}, []string{"x", "y", "x"}, []error{errA, nil, errA}},
		"any kind":                        {[]rule{{faults.Any, 2, errA}}, []string{"x", "y", "x"}, []error{nil, errA, nil}},
		"the first of two takes the call": {[]rule{{"x", 1, errA}, {"x", 1, errB}}, []string{"x", "x"}, []error{errA, nil}},
		"one after the other":             {[]rule{{"x", 1, errA}, {"x", 2, errB}}, []string{"x", "x", "x"}, []error{errA, errB, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			var p faults.Plan
			for _, r := range c.rules {
				p.Add(r.kind, r.nth, faults.Effect{Err: r.err})
			}
			for i, call := range c.calls {
				require.Equal(t, c.want[i], p.Next(call).Err, "call %d", i)
			}
			require.Equal(t, len(c.calls), p.Calls(faults.Any))
		})
	}
}

func TestClear(t *testing.T) {
	var p faults.Plan
	p.Add("x", faults.Every, faults.Effect{Sever: true})
	require.True(t, p.Next("x").Sever)
	p.Clear()
	require.Zero(t, p.Next("x"))
	require.Equal(t, 2, p.Calls("x"))
	require.Zero(t, p.Calls("y"))
}

func TestHoldEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, faults.Hold(ctx, time.Hour), context.Canceled)
	require.NoError(t, faults.Hold(ctx, 0))
	require.NoError(t, faults.Hold(t.Context(), time.Microsecond))
}
