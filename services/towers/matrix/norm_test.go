package matrix

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// naiveNorm is layer normalisation from its definition, in float64.
func naiveNorm(x, gain, bias []float32, epsilon float64) (out, hat []float64, inverse float64) {
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += float64(v) / float64(len(x))
	}
	for _, v := range x {
		variance += (float64(v) - mean) * (float64(v) - mean) / float64(len(x))
	}
	inverse = 1 / math.Sqrt(variance+epsilon)
	for i, v := range x {
		h := (float64(v) - mean) * inverse
		hat, out = append(hat, h), append(out, h*float64(gain[i])+float64(bias[i]))
	}
	return out, hat, inverse
}

func TestNormRow(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	onEachTier(t, func(t *testing.T) {
		for n := 1; n < 70; n++ {
			x, gain, bias := randoms(r, n), randoms(r, n), randoms(r, n)
			out, hat, inverse := naiveNorm(x, gain, bias, 1e-3)
			dst, gotHat := make([]float32, n), make([]float32, n)
			require.InEpsilon(t, inverse, NormRow(dst, gotHat, x, gain, bias, 1e-3), 1e-4)
			require.InDeltaSlice(t, hat, gotHat, 1e-4)
			require.InDeltaSlice(t, out, dst, 1e-4)
			NormRow(x, gotHat, x, gain, bias, 1e-3)
			require.Equal(t, dst, x, "in place")
		}
	})
}

func TestNormRowGrad(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	onEachTier(t, func(t *testing.T) {
		for n := 2; n < 70; n++ {
			x, gain, bias, dy := randoms(r, n), randoms(r, n), randoms(r, n), randoms(r, n)
			loss := func() (sum float64) {
				out, _, _ := naiveNorm(x, gain, bias, 1e-1)
				for i, v := range out {
					sum += v * float64(dy[i])
				}
				return sum
			}
			slopes := func(of []float32) (want []float64) {
				for i, kept := range of {
					const h = 1. / 256
					of[i] = kept + h
					above := loss()
					of[i] = kept - h
					want = append(want, (above-loss())/(2*h))
					of[i] = kept
				}
				return want
			}
			wantX, wantGain, wantBias := slopes(x), slopes(gain), slopes(bias)
			hat, dGain, dBias := make([]float32, n), make([]float32, n), make([]float32, n)
			for i := range n { // what was there stays
				dGain[i], dBias[i] = 1, -1
				wantGain[i]++
				wantBias[i]--
			}
			inverse := NormRow(make([]float32, n), hat, x, gain, bias, 1e-1)
			dx := append([]float32(nil), dy...)
			NormRowGrad(dx, hat, gain, dGain, dBias, inverse)
			require.InDeltaSlice(t, wantX, dx, 1e-3, "%d long", n)
			require.InDeltaSlice(t, wantGain, dGain, 1e-3)
			require.InDeltaSlice(t, wantBias, dBias, 1e-3)
		}
	})
}

func TestScaleWhere(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	onEachTier(t, func(t *testing.T) {
		for n := range 70 {
			x, mask := randoms(r, n), make([]byte, n+1)
			want := make([]float32, n)
			for i := range x {
				mask[i] = byte(r.IntN(256))
				if mask[i] >= 200 {
					want[i] = x[i] * 1.5
				}
			}
			ScaleWhere(1.5, x, mask[:n], 200)
			require.Equal(t, want, x)
		}
	})
}

func TestRowsOfOtherLengthsAreRefused(t *testing.T) {
	two, three := make([]float32, 2), make([]float32, 3)
	require.Panics(t, func() { NormRow(two, two, two, three, two, 1) })
	require.Panics(t, func() { NormRowGrad(two, three, two, two, two, 1) })
	require.Panics(t, func() { ScaleWhere(1, three, make([]byte, 2), 1) })
}

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for _, shape := range [][2]int{{0, 3}, {1, 1}, {3, 9}, {4, 7}, {13, 5}} {
		rows, cols := shape[0], shape[1]
		lds, ldd := cols+2, rows+1
		src, dst := randoms(r, rows*lds), make([]float32, cols*ldd)
		Transpose(dst, ldd, src, lds, rows, cols)
		for j := range cols {
			for i := range ldd {
				want := float32(0) // beside the matrix nothing is written
				if i < rows {
					want = src[i*lds+j]
				}
				require.Equal(t, math.Float32bits(want), math.Float32bits(dst[j*ldd+i]), "%v at %d, %d", shape, j, i)
			}
		}
	}
	require.Panics(t, func() { Transpose(make([]float32, 5), 2, make([]float32, 6), 3, 2, 3) })
}
