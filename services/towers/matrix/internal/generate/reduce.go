package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// lanes is how many accumulators a reduction keeps, so that one addition need not wait for the one before.
const lanes = 4

func (c *constants) reductions() {
	c.expSum()
	c.reduce("sum", "the sum of x", "func(x []float32) float32", nil,
		func(acc, x VecVirtual, _ Mem, _ *VecVirtual) { VADDPS(x, acc, acc) }, addScalars)
	c.reduce("dot", "the sum of x[i] * y[i]", "func(x, y []float32) float32", nil,
		func(acc, x VecVirtual, y Mem, mask *VecVirtual) { VFMADD231PS(read(y, mask), x, acc) }, addScalars)
	c.reduce("max", "the largest of x", "func(x []float32) float32", &c.least,
		func(acc, x VecVirtual, _ Mem, mask *VecVirtual) {
			if mask != nil { // what the mask left out reads as 0, and must not win
				VBLENDVPS(*mask, x, load(c.least), x)
			}
			VMAXPS(x, acc, acc)
		}, maxScalars)
	c.axpy()
	c.scale()
}

// combine joins two vectors of partial results, whole or only their lowest elements.
type combine struct {
	vectors func(a, b VecVirtual)
	last    func(a, b VecVirtual)
}

var (
	addScalars = combine{func(a, b VecVirtual) { VADDPS(a, b, b) }, func(a, b VecVirtual) { VADDSS(a, b, b) }}
	maxScalars = combine{func(a, b VecVirtual) { VMAXPS(a, b, b) }, func(a, b VecVirtual) { VMAXSS(a, b, b) }}
)

// fold joins the eight elements of v and stores them as the function's result.
func (f combine) fold(v VecVirtual) {
	high, low := XMM(), XMM()
	VEXTRACTF128(Imm(1), v, high)
	VEXTRACTF128(Imm(0), v, low)
	f.vectors(high, low)
	VPERMILPS(Imm(0x0e), low, high)
	f.vectors(high, low)
	VPERMILPS(Imm(0x01), low, high)
	f.last(high, low)
	VZEROUPPER()
	Store(low, ReturnIndex(0))
	RET()
}

// reduce writes a kernel that takes eight elements at a time into one of its accumulators, which begin with start, or with 0.
func (c *constants) reduce(name, does, signature string, start *Mem,
	step func(acc, x VecVirtual, y Mem, mask *VecVirtual), f combine) {
	TEXT(name+"AVX2", NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + "AVX2 returns " + does + ".")
	x, n, offset := Load(Param("x").Base(), GP64()), Load(Param("x").Len(), GP64()), GP64()
	y := x
	if name == "dot" {
		y = Load(Param("y").Base(), GP64())
	}
	var acc [lanes]VecVirtual
	for i := range acc {
		acc[i] = YMM()
		if start != nil {
			VMOVUPS(*start, acc[i])
		} else {
			VXORPS(acc[i], acc[i], acc[i])
		}
	}
	at := func(base Register, lane int) Mem { return Mem{Base: base, Index: offset, Scale: 1, Disp: 32 * lane} }
	XORQ(offset, offset)
	SUBQ(Imm(8*lanes), n)
	JL(LabelRef("few"))
	Label("many")
	for i := range acc {
		step(acc[i], read(at(x, i), nil), at(y, i), nil)
	}
	ADDQ(Imm(32*lanes), offset)
	SUBQ(Imm(8*lanes), n)
	JGE(LabelRef("many"))
	Label("few")
	ADDQ(Imm(8*lanes), n)
	ADDQ(offset, x)
	if name == "dot" {
		ADDQ(offset, y)
	}
	c.walk(n, offset, func(mask *VecVirtual) {
		step(acc[0], read(at(x, 0), mask), at(y, 0), mask)
	})
	f.vectors(acc[1], acc[0])
	f.vectors(acc[3], acc[2])
	f.vectors(acc[2], acc[0])
	f.fold(acc[0])
}

func (c *constants) expSum() {
	TEXT("expSumAVX2", NOSPLIT, "func(dst, src []float32, shift float32) float32")
	Pragma("noescape")
	Doc("expSumAVX2 writes e^(x-shift) and returns the sum of what it wrote.")
	dst, src := Load(Param("dst").Base(), GP64()), Load(Param("src").Base(), GP64())
	n, offset := Load(Param("src").Len(), GP64()), GP64()
	shift, acc := broadcast("shift"), YMM()
	VXORPS(acc, acc, acc)
	c.walk(n, offset, func(mask *VecVirtual) {
		x := read(Mem{Base: src, Index: offset, Scale: 1}, mask)
		VSUBPS(shift, x, x)
		y := c.exp(x)
		write(y, Mem{Base: dst, Index: offset, Scale: 1}, mask)
		if mask != nil {
			VANDPS(*mask, y, y)
		}
		VADDPS(y, acc, acc)
	})
	addScalars.fold(acc)
}

func (c *constants) axpy() {
	TEXT("axpyAVX2", NOSPLIT, "func(alpha float32, x, y []float32)")
	Pragma("noescape")
	Doc("axpyAVX2 adds alpha * x to y.")
	x, y := Load(Param("x").Base(), GP64()), Load(Param("y").Base(), GP64())
	n, offset := Load(Param("x").Len(), GP64()), GP64()
	alpha := broadcast("alpha")
	c.walk(n, offset, func(mask *VecVirtual) {
		m := Mem{Base: y, Index: offset, Scale: 1}
		sum := read(m, mask)
		VFMADD231PS(read(Mem{Base: x, Index: offset, Scale: 1}, mask), alpha, sum)
		write(sum, m, mask)
	})
	VZEROUPPER()
	RET()
}

func (c *constants) scale() {
	TEXT("scaleAVX2", NOSPLIT, "func(alpha float32, x []float32)")
	Pragma("noescape")
	Doc("scaleAVX2 multiplies x by alpha.")
	x, n, offset := Load(Param("x").Base(), GP64()), Load(Param("x").Len(), GP64()), GP64()
	alpha := broadcast("alpha")
	c.walk(n, offset, func(mask *VecVirtual) {
		m := Mem{Base: x, Index: offset, Scale: 1}
		v := read(m, mask)
		VMULPS(alpha, v, v)
		write(v, m, mask)
	})
	VZEROUPPER()
	RET()
}

func broadcast(param string) VecVirtual {
	at, err := Param(param).Resolve()
	if err != nil {
		panic(err)
	}
	v := YMM()
	VBROADCASTSS(at.Addr, v)
	return v
}
