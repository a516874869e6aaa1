package matrix

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func exp(dst, src []float32) { active.expSum(dst, src, 0) }

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func gelu64(x float64) float64 {
	return .5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+.044715*x*x*x)))
}

func derivative(f func(float64) float64, x float64) float64 {
	const h = 1e-5
	return (f(x+h) - f(x-h)) / (2 * h)
}

// points covers the range where the functions change, and beyond.
func points() []float32 {
	r := rand.New(rand.NewPCG(7, 8))
	x := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 1e-20, -1e-20, 20, -20, 86.6, -86.6, 88.7}
	for range 4003 {
		x = append(x, float32(r.NormFloat64()*8))
	}
	return x
}

func TestElementwiseKernels(t *testing.T) {
	silu := func(x float64) float64 { return x * sigmoid64(x) }
	siluSlope := func(x float64) float64 { return derivative(silu, x) }
	geluSlope := func(x float64) float64 { return derivative(gelu64, x) }
	ones := make([]float32, len(points()))
	for i := range ones {
		ones[i] = 1
	}
	for _, c := range []struct {
		name     string
		run      func(dst, src []float32)
		want     func(float64) float64
		relative float64
		absolute float64
	}{
		{"Exp", exp, math.Exp, 2.5e-7, 2.4e-38},
		{"Sigmoid", Sigmoid, sigmoid64, 6e-7, 1e-37},
		{"SiLU", SiLU, silu, 6e-7, 1e-36},
		{"GELU", GELU, gelu64, 2e-6, 1e-6},
		{"SiLUGrad", func(dst, src []float32) { SiLUGrad(dst, src, ones[:len(src)]) }, siluSlope, 1e-6, 1e-6},
		{"GELUGrad", func(dst, src []float32) { GELUGrad(dst, src, ones[:len(src)]) }, geluSlope, 1e-6, 2e-6},
	} {
		t.Run(c.name, func(t *testing.T) {
			onEachTier(t, func(t *testing.T) {
				src := points()
				dst := make([]float32, len(src))
				c.run(dst, src)
				for i, x := range src {
					want := c.want(float64(x))
					if !(math.Abs(float64(dst[i])-want) <= c.relative*math.Abs(want)+c.absolute) {
						t.Fatalf("at %v: %v, want %v (relative error %.2g)", x, dst[i], want, math.Abs(float64(dst[i])/want-1))
					}
				}
				sameBitsAnywhere(t, c.run, src, dst)
			})
		})
	}
}

// sameBitsAnywhere holds that an element's result does not depend on where in the slice it stands, nor on dst being src.
func sameBitsAnywhere(t *testing.T, run func(dst, src []float32), src, want []float32) {
	t.Helper()
	r := rand.New(rand.NewPCG(9, 10))
	for range 50 {
		from := r.IntN(len(src) - 40)
		n := r.IntN(40)
		part := append([]float32(nil), src[from:from+n]...)
		run(part, part)
		for i := range part {
			require.Equal(t, math.Float32bits(want[from+i]), math.Float32bits(part[i]), "element %d of %d", i, n)
		}
	}
}

func TestExpAtTheEnds(t *testing.T) {
	inf := float32(math.Inf(1))
	onEachTier(t, func(t *testing.T) {
		x := []float32{-inf, -1e30, -104, -88, 0, float32(math.NaN()), 89, 1e30, inf}
		exp(x, x)
		require.Equal(t, []float32{0, 0, 0, 0, 1}, x[:5])
		require.True(t, math.IsNaN(float64(x[5])))
		for _, v := range x[6:] {
			require.InEpsilon(t, math.Exp(88.7228), v, 1e-4)
		}
	})
}

// However far out, an activation is x or 0 and its slope 1 or 0, and NaN is passed on.
func TestActivationsFarOut(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	onEachTier(t, func(t *testing.T) {
		x := []float32{-inf, -3e38, -1e13, -200, 200, 1e13, 3e38, inf, nan}
		slopes, ones := make([]float32, len(x)), []float32{1, 1, 1, 1, 1, 1, 1, 1, 1}
		for _, c := range []struct {
			f func(dst, src []float32)
			g func(dst, x, dy []float32)
		}{{SiLU, SiLUGrad}, {GELU, GELUGrad}} {
			values := make([]float32, len(x))
			c.f(values, x)
			c.g(slopes, x, ones)
			require.InDeltaSlice(t, []float32{0, 0, 0, 0, 200}, values[:5], 1e-6)
			require.Equal(t, x[4:8], values[4:8])
			require.InDeltaSlice(t, []float32{0, 0, 0, 0, 1, 1, 1, 1}, slopes[:8], 1e-6)
			require.True(t, math.IsNaN(float64(values[8])) && math.IsNaN(float64(slopes[8])))
		}
	})
}

func TestReductions(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	onEachTier(t, func(t *testing.T) {
		for n := range 150 {
			x, y := randoms(r, n), randoms(r, n)
			sum, dot, abs, most := 0.0, 0.0, 0.0, math.Inf(-1)
			for i, v := range x {
				sum += float64(v)
				dot += float64(v) * float64(y[i])
				abs += math.Abs(float64(v)) * (1 + math.Abs(float64(y[i])))
				most = max(most, float64(v))
			}
			require.InDelta(t, sum, Sum(x), 1e-6*abs+1e-30)
			require.InDelta(t, dot, Dot(x, y), 1e-6*abs+1e-30)
			require.Equal(t, math.Float32bits(float32(most)), math.Float32bits(active.max(x)), "max of %d", n)

			z := append([]float32(nil), y...)
			Axpy(-1.5, x, z)
			active.scale(.25, y)
			for i := range z {
				u, v := 4*float64(y[i]), 1.5*float64(x[i])
				require.InDelta(t, u-v, z[i], 1e-6*(math.Abs(u)+math.Abs(v)))
			}
		}
	})
}

func TestSoftmaxRows(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	onEachTier(t, func(t *testing.T) {
		for _, cols := range []int{1, 2, 7, 8, 31, 100, 3416} {
			const rows = 3
			ld := cols + 2
			x := randoms(r, rows*ld)
			active.scale(20, x)           // the shift by the largest rounds: an error of 6e-8 times the distance
			x[ld] = float32(math.Inf(-1)) // a masked column
			if cols == 1 {
				x[ld] = -500
			}
			before := append([]float32(nil), x...)
			lse := make([]float32, rows)
			SoftmaxRows(x, rows, cols, ld, lse)
			for i := range rows {
				most := float64(active.max(before[i*ld : i*ld+cols]))
				total := 0.0
				for _, v := range before[i*ld : i*ld+cols] {
					total += math.Exp(float64(v) - most)
				}
				require.InEpsilon(t, most+math.Log(total), lse[i], 1e-6)
				for j := range ld {
					want := float64(before[i*ld+j])
					if j < cols {
						want = math.Exp(want-most) / total
					}
					require.InDelta(t, want, x[i*ld+j], 2e-5*math.Abs(want)+1e-37)
				}
			}
		}
	})
}

func TestSoftmaxOfNothing(t *testing.T) {
	inf := float32(math.Inf(-1))
	onEachTier(t, func(t *testing.T) {
		x, lse := []float32{inf, inf, inf}, []float32{0}
		SoftmaxRows(x, 1, 3, 3, lse)
		require.Equal(t, []float32{0, 0, 0}, x)
		require.Equal(t, []float32{inf}, lse)
	})
}

func TestChoose(t *testing.T) {
	a, b := &kernels{name: "avx2"}, &kernels{name: "portable"}
	require.Same(t, a, choose([]*kernels{a, b}, ""))
	require.Same(t, b, choose([]*kernels{a, b}, "portable"))
	require.Same(t, a, choose([]*kernels{a, b}, "avx512"))
}
