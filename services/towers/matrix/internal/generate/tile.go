package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// width is a vector width: its name in function names, its bytes, and how to get a register of it.
type width struct {
	name   string
	bytes  int
	vector func() VecVirtual
}

var (
	avx2   = width{"AVX2", 32, YMM}
	avx512 = width{"AVX512", 64, ZMM}
)

// rowsAtPointer is how many rows of A are read off one pointer: an address adds the distance between rows once or twice.
const rowsAtPointer = 3

// tile writes a kernel of rows x 2 vectors. Its accumulators stay in registers for all steps of k; a step loads two vectors of
// B, and for each row broadcasts one value of A into two fused multiply-adds.
func tile(w width, rows int) {
	TEXT(fmt.Sprintf("tile%sx%d", w.name, rows), NOSPLIT,
		"func(kc int, a *float32, aRow, aStep int, b *float32, bStep int, c *float32, ldc int, alpha float32, add bool)")
	Pragma("noescape")
	Doc(fmt.Sprintf("tile%sx%d multiplies %d rows with %d columns. Distances and steps count elements.",
		w.name, rows, rows, w.bytes/2))
	kc, b := Load(Param("kc"), GP64()), Load(Param("b"), GP64())
	aRow := inBytes(Load(Param("aRow"), GP64()))
	aStep := inBytes(Load(Param("aStep"), GP64()))
	bStep := inBytes(Load(Param("bStep"), GP64()))
	a := []Register{Load(Param("a"), GP64())}
	for len(a)*rowsAtPointer < rows {
		next := GP64()
		LEAQ(Mem{Base: a[len(a)-1], Index: aRow, Scale: 2}, next)
		ADDQ(aRow, next)
		a = append(a, next)
	}
	acc := make([][2]VecVirtual, rows)
	for i := range acc {
		for j := range acc[i] {
			acc[i][j] = w.vector()
			zero(w, acc[i][j])
		}
	}
	Label("step")
	b0, b1, x := w.vector(), w.vector(), w.vector()
	VMOVUPS(Mem{Base: b}, b0)
	VMOVUPS(Mem{Base: b, Disp: w.bytes}, b1)
	for i := range acc {
		at := Mem{Base: a[i/rowsAtPointer]}
		if i%rowsAtPointer > 0 {
			at.Index, at.Scale = aRow, uint8(i%rowsAtPointer)
		}
		VBROADCASTSS(at, x)
		VFMADD231PS(b0, x, acc[i][0])
		VFMADD231PS(b1, x, acc[i][1])
	}
	for _, pointer := range a {
		ADDQ(aStep, pointer)
	}
	ADDQ(bStep, b)
	DECQ(kc)
	JNZ(LabelRef("step"))
	store(w, acc)
}

// inBytes makes a count of elements one of bytes.
func inBytes(count Register) Register {
	SHLQ(Imm(2), count)
	return count
}

func zero(w width, v VecVirtual) {
	if w.bytes == 64 {
		VPXORQ(v, v, v)
		return
	}
	VXORPS(v, v, v)
}

// store multiplies by alpha, then adds or overwrites: two roundings, which merge in gemm.go repeats for C's right edge.
func store(w width, acc [][2]VecVirtual) {
	c, ldc := Load(Param("c"), GP64()), inBytes(Load(Param("ldc"), GP64()))
	alpha := w.vector()
	at, err := Param("alpha").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(at.Addr, alpha)
	for i := range acc {
		for j := range acc[i] {
			VMULPS(alpha, acc[i][j], acc[i][j])
		}
	}
	add := Load(Param("add"), GP8())
	TESTB(add, add)
	JZ(LabelRef("overwrite"))
	each(w, acc, c, ldc, func(v VecVirtual, m Mem) {
		VADDPS(m, v, v)
		VMOVUPS(v, m)
	})
	VZEROUPPER()
	RET()
	Label("overwrite")
	each(w, acc, c, ldc, func(v VecVirtual, m Mem) { VMOVUPS(v, m) })
	VZEROUPPER()
	RET()
}

func each(w width, acc [][2]VecVirtual, c, ldc Register, do func(VecVirtual, Mem)) {
	row := GP64()
	MOVQ(c, row)
	for i := range acc {
		do(acc[i][0], Mem{Base: row})
		do(acc[i][1], Mem{Base: row, Disp: w.bytes})
		if i < len(acc)-1 {
			ADDQ(ldc, row)
		}
	}
}
