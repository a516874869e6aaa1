package interchange

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/onnx"
)

func graphsOf(b *towers.Bundle) []*onnx.Graph {
	users := newUserGraphs(towers.NewUserTower("test", b.Users...))
	return []*onnx.Graph{itemGraph(b.Items), users.step(), users.history()}
}

func describe(ports []onnx.Port) string {
	var all []string
	for _, p := range ports {
		var axes []string
		for _, a := range p.Shape {
			if a.Size > 0 {
				a.Name = fmt.Sprint(a.Size)
			}
			axes = append(axes, a.Name)
		}
		all = append(all, fmt.Sprintf("%s:%d[%s]", p.Name, p.Type, strings.Join(axes, ",")))
	}
	return strings.Join(all, " ")
}

func portsOf(graphs []*onnx.Graph) []string {
	var all []string
	for _, g := range graphs {
		all = append(all, g.Name+": "+describe(g.Inputs)+" -> "+describe(g.Outputs))
	}
	return all
}

func TestGraphsHaveTheDocumentedPorts(t *testing.T) {
	got := portsOf(graphsOf(jittered(shapes[3]))) // 3 heads of 2 layers share dim 12
	require.Equal(t, []string{
		"item_tower: id:7[N] tokens:7[N,T] -> vector:1[N,12]",
		"user_tower: state:1[N,24] item:1[N,12] -> next_state:1[N,24] embedding:1[N,12]",
		"user_history: items:1[N,L,12] lengths:7[N] -> state:1[N,24] embedding:1[N,12]",
	}, got)

	got = portsOf(graphsOf(jittered(shapes[7]))) // the same with kinds and gaps
	require.Equal(t, []string{
		"user_tower: state:1[N,24] item:1[N,12] kind:7[N] gap:7[N] -> next_state:1[N,24] embedding:1[N,12]",
		"user_history: items:1[N,L,12] lengths:7[N] kinds:7[N,L] gaps:7[N,L] -> state:1[N,24] embedding:1[N,12]",
	}, got[1:])
}

// TestGraphsAreWellFormed holds what the format asks for: every value is given before it is read, and once.
func TestGraphsAreWellFormed(t *testing.T) {
	for _, s := range shapes {
		for _, g := range graphsOf(jittered(s)) {
			given := map[string]bool{}
			for _, c := range g.Constants {
				require.False(t, given[c.Name], c.Name)
				given[c.Name] = true
				size := 1
				for _, n := range c.Shape {
					size *= n
				}
				require.Equal(t, size, len(c.Floats)+len(c.Ints), c.Name)
			}
			for _, p := range g.Inputs {
				require.False(t, given[p.Name], p.Name)
				given[p.Name] = true
			}
			for _, n := range g.Nodes {
				for _, in := range n.Inputs {
					require.True(t, given[in], "%s reads %s, which nothing before it gives", n.Op, in)
				}
				for _, out := range n.Outputs {
					require.False(t, given[out], out)
					given[out] = true
				}
			}
			for _, p := range g.Outputs {
				require.True(t, given[p.Name], p.Name)
			}
		}
	}
}
