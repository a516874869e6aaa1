package matrix

import (
	"fmt"
	"sync"
)

// The blocks of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): a panel of B of
// blockK x tile columns stays in the L1 cache, a block of A of blockM x blockK in L2, a block of B of blockK x blockN in L3.
// blockK also fixes the order of the additions, so it is the same for every tier and every shape.
const (
	blockM = 240
	blockK = 256
	blockN = 2048
)

// fewRows is how many rows of A are too few to repay the packing of B, which then is read where it lies, if its rows are rows.
const fewRows = 256

// Gemm computes C = alpha * op(A) * op(B) + beta * C, where op transposes when its flag is set; op(A) is m x k, op(B) is
// k x n and C is m x n. With beta 0, C is written without being read, so that it may hold anything. C must not overlap A or B.
// For a few rows of A, which then are bound by reading B, give B untransposed: it is packed otherwise.
// A dimension below zero or a slice too short for its shape is a programming error and panics.
func Gemm(transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int,
	beta float32, c []float32, ldc int) {
	checkShape("A", a, lda, m, k, transA)
	checkShape("B", b, ldb, k, n, transB)
	checkShape("C", c, ldc, m, n, false)
	if m == 0 || n == 0 {
		return
	}
	if k == 0 || alpha == 0 {
		scaleRows(c, ldc, m, n, beta)
		return
	}
	if beta != 0 && beta != 1 {
		scaleRows(c, ldc, m, n, beta)
	}
	g := product{
		kern: active, a: operand{a, lda, transA}, b: operand{b, ldb, transB},
		m: m, n: n, alpha: alpha, c: c, ldc: ldc,
	}
	s := scratches.Get().(*scratch)
	for pc := 0; pc < k; pc += blockK {
		g.add = pc > 0 || beta != 0
		g.pass(s, pc, min(blockK, k-pc))
	}
	scratches.Put(s)
}

func checkShape(name string, x []float32, ld, rows, cols int, trans bool) {
	if trans {
		rows, cols = cols, rows
	}
	if rows < 0 || cols < 0 {
		panic(fmt.Sprintf("matrix: %s is %d x %d: dimensions must not be negative", name, rows, cols))
	}
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols {
		panic(fmt.Sprintf("matrix: leading dimension %d of %s is less than its %d columns", ld, name, cols))
	}
	if need := (rows-1)*ld + cols; len(x) < need {
		panic(fmt.Sprintf("matrix: %s has %d elements, %d x %d with leading dimension %d needs %d",
			name, len(x), rows, cols, ld, need))
	}
}

func scaleRows(c []float32, ldc, m, n int, beta float32) {
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if beta == 0 {
			clear(row)
			continue
		}
		active.scale(beta, row)
	}
}

// operand is op(A) or op(B) as it lies in memory.
type operand struct {
	x     []float32
	ld    int
	trans bool
}

// scratch holds the packed blocks of A and B, and a tile for the columns at C's right edge.
type scratch struct {
	a, b []float32
	tile [maxTileRows * maxTileCols]float32
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func grow(buf []float32, n int) []float32 {
	if cap(buf) < n {
		return make([]float32, n)
	}
	return buf[:n]
}

// product is one call of Gemm; add says whether the pass at hand adds to C or overwrites it.
type product struct {
	kern  *kernels
	a, b  operand
	m, n  int
	alpha float32
	c     []float32
	ldc   int
	add   bool
}

// pass adds the share of kc steps of k, from pc on, to all of C.
func (g *product) pass(s *scratch, pc, kc int) {
	cols := g.kern.cols
	for jc := 0; jc < g.n; jc += blockN {
		nc := min(blockN, g.n-jc)
		inPlace := 0 // columns of the block that are read where they lie
		if !g.b.trans && g.m <= fewRows {
			inPlace = nc / cols * cols
		}
		s.b = grow(s.b, (nc-inPlace+cols-1)/cols*cols*kc)
		packColumns(s.b, &g.b, pc, kc, jc+inPlace, nc-inPlace, cols)
		for ic := 0; ic < g.m; ic += blockM {
			mc := min(blockM, g.m-ic)
			if g.a.trans {
				s.a = grow(s.a, mc*kc)
				packRows(s.a, &g.a, ic, mc, pc, kc, g.kern)
			}
			for j := 0; j < nc; j += cols {
				if j < inPlace {
					g.panel(s, ic, mc, jc+j, pc, kc, g.b.x[pc*g.b.ld+jc+j:], g.b.ld)
				} else {
					g.panel(s, ic, mc, jc+j, pc, kc, s.b[(j-inPlace)*kc:], cols)
				}
			}
		}
	}
}

// panel multiplies mc rows of A, from (ic, pc) on, with a panel of B, as wide as a tile, into C at (ic, jc). Rows of A are read
// where they lie; its columns, each step of which would be a page of its own, are packed.
func (g *product) panel(s *scratch, ic, mc, jc, pc, kc int, b []float32, bStep int) {
	cols := g.kern.cols
	width := min(cols, g.n-jc)
	for i := 0; i < mc; {
		rows := g.kern.height(mc - i)
		a, row, step := s.a, 1, rows
		if g.a.trans {
			a = a[i*kc:]
		} else {
			a, row, step = g.a.x[(ic+i)*g.a.ld+pc:], g.a.ld, 1
		}
		c := g.c[(ic+i)*g.ldc+jc:]
		if width == cols {
			g.kern.tile(rows, kc, a, row, step, b, bStep, c, g.ldc, g.alpha, g.add)
		} else {
			g.kern.tile(rows, kc, a, row, step, b, bStep, s.tile[:], cols, g.alpha, false)
			merge(c, g.ldc, s.tile[:], cols, rows, width, g.add)
		}
		i += rows
	}
}

// merge moves the tile's first width columns into C, rounding as the kernels do, so that C's right edge has the same bits
// as if it stood elsewhere.
func merge(c []float32, ldc int, tile []float32, cols, rows, width int, add bool) {
	for i := range rows {
		dst, src := c[i*ldc:i*ldc+width], tile[i*cols:i*cols+width]
		if !add {
			copy(dst, src)
			continue
		}
		for j, v := range src {
			dst[j] += v
		}
	}
}
