package evaluation

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/mat"
)

// EASE is where the derivative of the penalised squared error is 0 but on the diagonal, which is 0 itself (Steck, 2019, equations 4 to 8).
func TestEASESolvesItsProblem(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	const users, items, lambda = 300, 12, 500
	x := mat.NewDense(users, items, nil)
	histories := make([][]int32, users)
	for u := range histories {
		for range 1 + r.IntN(8) {
			item := r.IntN(1 + r.IntN(items))
			histories[u] = append(histories[u], int32(item), int32(item))
			x.Set(u, item, 1)
		}
	}
	e, err := NewEASE(t.Context(), histories, items, lambda)
	require.NoError(t, err)
	b := mat.NewDense(items, items, nil)
	for i := range items {
		for j := range items {
			b.Set(i, j, float64(e.weights[i*items+j]))
		}
	}
	var xb, gradient mat.Dense
	xb.Mul(x, b)
	xb.Sub(&xb, x)
	gradient.Mul(x.T(), &xb)
	for i := range items {
		require.Zero(t, b.At(i, i))
		for j := range items {
			if i != j {
				require.InDelta(t, 0, gradient.At(i, j)+lambda*b.At(i, j), 1e-3)
			}
		}
	}
	want := make([]float32, items)
	for i := range want {
		want[i] = e.weights[3*items+i] + e.weights[7*items+i]
	}
	got := make([]float32, items)
	e.Score(got, 0, []int32{7, 3, 7})
	require.InDeltaSlice(t, want, got, 1e-6)
}

// The inverse by blocks is the one by Cholesky's factors, in double precision, around the sizes of blocks.
func TestInvertEqualsCholesky(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	for _, n := range []int{1, 2, pivot - 1, pivot, pivot + 1, 2*pivot + 77} {
		x := mat.NewDense(2*n, n, nil)
		for i := range 2 * n {
			for range 1 + r.IntN(10) {
				x.Set(i, r.IntN(1+r.IntN(n)), 1)
			}
		}
		var gram mat.SymDense
		gram.SymOuterK(1, x.T())
		a := make([]float32, n*n)
		for i := range n {
			gram.SetSym(i, i, gram.At(i, i)+50)
			for j := range n {
				a[i*n+j] = float32(gram.At(i, j))
			}
		}
		require.NoError(t, invert(t.Context(), a, n))
		var factors mat.Cholesky
		require.True(t, factors.Factorize(&gram))
		var inverse mat.SymDense
		require.NoError(t, factors.InverseTo(&inverse))
		for i := range n {
			for j := range n {
				require.InDelta(t, inverse.At(i, j), a[i*n+j], 1e-7, "%d x %d at %d, %d", n, n, i, j)
			}
		}
	}
}

func TestEASERefuses(t *testing.T) {
	rows := [][]int32{{0, 1}, {0, 1}, {2}}
	_, err := NewEASE(t.Context(), rows, 3, 0)
	require.ErrorContains(t, err, "solving EASE: the Gram matrix is singular, or nearly so: give a larger lambda")
	many := make([][]int32, 100_000)
	for i := range many {
		many[i] = []int32{int32(i % 2), 2 + int32(i%2), 4, 5}
	}
	_, err = NewEASE(t.Context(), many, 200, 1e-6)
	require.ErrorContains(t, err, "give a larger")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = NewEASE(ctx, rows, 3, 1)
	require.ErrorIs(t, err, context.Canceled)
}

func TestEASELimits(t *testing.T) {
	for name, c := range map[string]struct {
		limits EASELimits
		items  int
		want   string
	}{
		"small":              {EASELimits{}, 100, ""},
		"more items":         {EASELimits{Items: 100}, 101, "there are 101 items, more than the 100 that --ease-items allows"},
		"memory":             {EASELimits{Memory: 1 << 20}, 400, "take 2 MiB, more than 1 MiB, which is the limit"},
		"memory, all items":  {EASELimits{Items: 400, Memory: 1 << 20}, 400, "matrices of 400 x 400 items"},
		"time":               {EASELimits{Time: time.Microsecond, Memory: math.MaxInt64}, 3000, "3000 items would take about"},
		"time, items given":  {EASELimits{Time: time.Microsecond, Memory: math.MaxInt64, Items: 3000}, 3000, ""},
		"beyond all measure": {EASELimits{}, 1_000_000_000, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.limits.Allow(c.items, 5)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
	memory, once := EASECost(2000, 1)
	require.Equal(t, int64(8*2000*2000+12*pivot*2000), memory)
	require.Positive(t, once)
}

func TestFreeMemoryIsTheLeastThatIsTold(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	const none = math.MaxInt64
	meminfo := write("meminfo", "MemTotal:       99 kB\nMemAvailable:   2000 kB\n")
	tell := func(meminfo, group string, limit int64) (int64, string) {
		return leastFree(meminfo, group, limit, 1000)
	}
	for _, c := range []struct {
		meminfo, most, current string
		limit, want            int64
		by                     string
	}{
		{meminfo, "max\n", "5\n", none, 2000 << 10, "the machine"},
		{meminfo, "900\n", "500\n", none, 400, "the control group"},
		{meminfo, "500\n", "900\n", none, 0, "the control group"},
		{meminfo, "max\n", "5\n", 1500, 500, "GOMEMLIMIT"},
		{filepath.Join(dir, "none"), "max", "x", none, unknownMemory, "guess, for this system does not tell"},
	} {
		write("memory.max", c.most)
		write("memory.current", c.current)
		free, by := tell(c.meminfo, dir, c.limit)
		require.Equal(t, c.want, free)
		require.Equal(t, c.by, by)
	}
}
