package matrix

import (
	"math/rand/v2"
	"testing"
	"time"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// BenchmarkGemm gives GFLOP/s of each tier on the shapes of training and serving, and how many times gonum's that is, gonum being
// measured in the same run.
func BenchmarkGemm(b *testing.B) {
	for _, s := range []struct {
		name           string
		transA, transB bool
		m, n, k        int
	}{
		{"logits", false, false, 153, 3424, 64},
		{"gradient-X", false, false, 153, 64, 3424},
		{"gradient-W", true, false, 64, 3424, 153},
		{"body-gradient", true, false, 192, 64, 1600},
		{"body", false, false, 1600, 256, 64},
		{"body-transposed", false, true, 1600, 192, 64},
		{"batch-of-32", false, false, 32, 192, 64},
		{"one-row", false, false, 1, 192, 64},
		{"one-row-transposed", false, true, 1, 192, 64},
	} {
		b.Run(s.name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 2))
			x, y, c := randoms(r, s.m*s.k), randoms(r, s.k*s.n), make([]float32, s.m*s.n)
			lda, ldb := s.k, s.n
			if s.transA {
				lda = s.m
			}
			if s.transB {
				ldb = s.k
			}
			flop := 2 * float64(s.m) * float64(s.n) * float64(s.k)
			theirs := flop / seconds(func() {
				gonum.Implementation{}.Sgemm(transpose(s.transA), transpose(s.transB), s.m, s.n, s.k,
					1, x, lda, y, ldb, 0, c, s.n)
			}) / 1e9
			best := active
			defer func() { active = best }()
			for _, tier := range available() {
				b.Run(tier.name, func(b *testing.B) {
					active = tier
					b.ReportAllocs()
					for b.Loop() {
						Gemm(s.transA, s.transB, s.m, s.n, s.k, 1, x, lda, y, ldb, 0, c, s.n)
					}
					ours := flop * float64(b.N) / b.Elapsed().Seconds() / 1e9
					b.ReportMetric(ours, "GFLOP/s")
					b.ReportMetric(ours/theirs, "x-gonum")
				})
			}
		})
	}
}

func transpose(t bool) blas.Transpose {
	if t {
		return blas.Trans
	}
	return blas.NoTrans
}

// seconds is the mean time of a call over a tenth of a second.
func seconds(call func()) float64 {
	call()
	start := time.Now()
	n := 0
	for ; time.Since(start) < 100*time.Millisecond; n++ {
		call()
	}
	return time.Since(start).Seconds() / float64(n)
}

// BenchmarkVector gives nanoseconds an element over a row of logits.
func BenchmarkVector(b *testing.B) {
	const n = 3416
	r := rand.New(rand.NewPCG(3, 4))
	x, y := randoms(r, n), randoms(r, n)
	dst := make([]float32, n)
	best := active
	defer func() { active = best }()
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"exp", func() { active.expSum(dst, x, 0) }},
		{"softmax", func() { copy(dst, x); SoftmaxRows(dst, 1, n, n, nil) }},
		{"silu", func() { SiLU(dst, x) }},
		{"gelu", func() { GELU(dst, x) }},
		{"gelu-gradient", func() { GELUGrad(dst, x, y) }},
		{"dot", func() { Dot(x, y) }},
		{"axpy", func() { Axpy(1e-9, x, dst) }},
		{"sum", func() { Sum(x) }},
	} {
		for _, tier := range available() {
			b.Run(c.name+"/"+tier.name, func(b *testing.B) {
				active = tier
				for b.Loop() {
					c.run()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
			})
		}
	}
}
