package matrix

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// onEachTier runs a test with each tier that this processor has.
func onEachTier(t *testing.T, test func(t *testing.T)) {
	best := active
	t.Cleanup(func() { active = best })
	for _, k := range available() {
		t.Run(k.name, func(t *testing.T) {
			active = k
			test(t)
		})
	}
}

func randoms(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// naive is the definition of Gemm in float64, with the sum of magnitudes that its error is measured against.
func naive(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int,
	beta float32, c []float32, ldc int) (want, magnitude []float64) {
	at := func(x []float32, ld, i, j int, trans bool) float64 {
		if trans {
			i, j = j, i
		}
		return float64(x[i*ld+j])
	}
	for i := range m {
		for j := range n {
			sum, abs := 0.0, 0.0
			for p := range k {
				v := at(a, lda, i, p, transA) * at(b, ldb, p, j, transB)
				sum += v
				abs += math.Abs(v)
			}
			w, g := float64(alpha)*sum, math.Abs(float64(alpha))*abs
			if beta != 0 {
				w += float64(beta) * float64(c[i*ldc+j])
				g += math.Abs(float64(beta) * float64(c[i*ldc+j]))
			}
			want, magnitude = append(want, w), append(magnitude, g)
		}
	}
	return want, magnitude
}

func TestGemmEqualsDefinition(t *testing.T) {
	shapes := [][3]int{
		{0, 3, 2}, {3, 0, 2}, {3, 2, 0}, {1, 1, 1}, {1, 64, 64}, {1, 192, 64}, {2, 31, 5}, {3, 33, 257}, {5, 17, 3}, {6, 16, 8},
		{7, 15, 511}, {11, 47, 13}, {12, 32, 256}, {13, 65, 30}, {23, 7, 1}, {64, 64, 64}, {241, 19, 31}, {25, 33, 259},
		{9, 2081, 7},
	}
	onEachTier(t, func(t *testing.T) {
		for _, s := range shapes {
			for _, trans := range [][2]bool{{false, false}, {false, true}, {true, false}, {true, true}} {
				for _, scale := range [][2]float32{{1, 0}, {1, 1}, {-.5, 2}, {0, .5}, {3, 0}} {
					checkGemm(t, s[0], s[1], s[2], trans[0], trans[1], scale[0], scale[1])
				}
			}
		}
	})
}

func checkGemm(t *testing.T, m, n, k int, transA, transB bool, alpha, beta float32) {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(m*1000+n), uint64(k)))
	lda, ldb, ldc := k+3, n+1, n+2
	rowsA, rowsB := m, k
	if transA {
		lda, rowsA = m+3, k
	}
	if transB {
		ldb, rowsB = k+1, n
	}
	a, b, c := randoms(r, rowsA*lda), randoms(r, rowsB*ldb), randoms(r, m*ldc)
	want, magnitude := naive(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
	if beta == 0 { // C may hold anything
		for i := range c {
			c[i] = float32(math.NaN())
		}
	}
	before := append([]float32(nil), c...)
	Gemm(transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
	for i := range m {
		for j := range ldc {
			got := c[i*ldc+j]
			if j >= n {
				require.Equal(t, math.Float32bits(before[i*ldc+j]), math.Float32bits(got), "outside C at %d, %d", i, j)
				continue
			}
			w, g := want[i*n+j], magnitude[i*n+j]
			if !(math.Abs(float64(got)-w) <= 1e-5*g+1e-30) {
				t.Fatalf("m %d n %d k %d transA %v transB %v alpha %v beta %v at %d, %d: %v, want %v",
					m, n, k, transA, transB, alpha, beta, i, j, got, w)
			}
		}
	}
}

func TestGemmOverRandomShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	onEachTier(t, func(t *testing.T) {
		for range 40 {
			m, n, k := 1+r.IntN(60), 1+r.IntN(90), 1+r.IntN(300)
			alpha, beta := float32(r.NormFloat64()), float32(r.IntN(3))/2
			checkGemm(t, m, n, k, r.IntN(2) == 1, r.IntN(2) == 1, alpha, beta)
		}
	})
}

// A batch must equal the same users one by one.
func TestGemmRowsDoNotDependOnTheBatch(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	onEachTier(t, func(t *testing.T) {
		for _, s := range [][2]int{{64, 64}, {100, 17}, {7, 300}, {33, 513}, {2100, 3}} {
			n, k := s[0], s[1]
			for _, trans := range [][2]bool{{false, false}, {false, true}, {true, false}, {true, true}} {
				const m = 253
				a, b, c := randoms(r, m*k), randoms(r, k*n), randoms(r, m*n)
				whole := append([]float32(nil), c...)
				gemmPart(trans[0], trans[1], 0, m, m, n, k, a, b, whole)
				for i := 0; i < m; {
					rows := min(1+r.IntN(14), m-i)
					part := append([]float32(nil), c...)
					gemmPart(trans[0], trans[1], i, rows, m, n, k, a, b, part)
					for j := i * n; j < (i+rows)*n; j++ {
						if math.Float32bits(part[j]) != math.Float32bits(whole[j]) {
							t.Fatalf("n %d k %d trans %v: row %d in a batch of %d: %v, in one of %d: %v",
								n, k, trans, j/n, rows, part[j], m, whole[j])
						}
					}
					i += rows
				}
			}
		}
	})
}

// A model trained on one machine must serve on another with the same numbers.
func TestAssemblyTiersAgreeBitForBit(t *testing.T) {
	tiers := available()
	if len(tiers) < 3 {
		t.Skip("needs a processor with AVX-512")
	}
	best := active
	defer func() { active = best }()
	r := rand.New(rand.NewPCG(15, 16))
	for range 30 {
		m, n, k := 1+r.IntN(50), 1+r.IntN(100), 1+r.IntN(600)
		a, b := randoms(r, m*k), randoms(r, k*n)
		var got [2][]float32
		for i := range got {
			active = tiers[i]
			got[i] = make([]float32, m*n)
			Gemm(false, true, m, n, k, 1.5, a, k, b, k, 0, got[i], n)
		}
		require.Equal(t, got[0], got[1])
	}
}

// gemmPart computes the rows from on of a product whose A has m rows.
func gemmPart(transA, transB bool, from, rows, m, n, k int, a, b, c []float32) {
	lda, ldb := k, n
	at := from * k
	if transA {
		lda, at = m, from
	}
	if transB {
		ldb = k
	}
	Gemm(transA, transB, rows, n, k, .7, a[at:], lda, b, ldb, 1, c[from*n:], n)
}

func TestGemmConcurrently(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const m, n, k = 50, 70, 300
	a, b := randoms(r, m*k), randoms(r, k*n)
	want := make([]float32, m*n)
	Gemm(false, false, m, n, k, 1, a, k, b, n, 0, want, n)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				c := make([]float32, m*n)
				Gemm(false, false, m, n, k, 1, a, k, b, n, 0, c, n)
				if !slices.Equal(c, want) {
					t.Error("a concurrent product differs")
				}
			}
		})
	}
	wg.Wait()
}

func TestGemmDoesNotAllocate(t *testing.T) {
	const m, n, k = 30, 192, 64
	a, b, c := make([]float32, m*k), make([]float32, n*k), make([]float32, m*n)
	run := func() { Gemm(false, true, m, n, k, 1, a, k, b, k, 0, c, n) }
	run()
	if raceEnabled {
		t.Skip("the race detector empties pools at random")
	}
	require.Less(t, testing.AllocsPerRun(100, run), 1.0)
}

func TestGemmRefusesWrongShapes(t *testing.T) {
	x := make([]float32, 12)
	for name, call := range map[string]func(){
		"matrix: A has 12 elements, 4 x 4 with leading dimension 4 needs 16": func() {
			Gemm(false, false, 4, 3, 4, 1, x, 4, x, 3, 0, x, 3)
		},
		"matrix: leading dimension 2 of B is less than its 3 columns": func() {
			Gemm(false, false, 4, 3, 3, 1, x, 3, x, 2, 0, x, 3)
		},
		"matrix: C is -1 x 3: dimensions must not be negative": func() {
			checkShape("C", x, 3, -1, 3, false)
		},
	} {
		require.PanicsWithValue(t, name, call)
	}
}
