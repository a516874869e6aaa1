package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// constants are vectors of eight equal values in read-only data; portable.go says what they are for.
type constants struct {
	one, three, sign, least, expHigh, expLow, log2e, ln2High, ln2Low, bias, farHigh, farLow, geluLinear, geluCubic Mem

	poly [6]Mem
	// masks are eight words of ones and eight of zeros: eight words from 8-r on select the first r elements.
	masks Mem
}

func declareConstants() *constants {
	linear := 2 * math.Sqrt(2/math.Pi)
	c := &constants{
		one: vector("one", float(1)), three: vector("three", float(3)), sign: vector("sign", U32(1<<31)),
		least:   vector("least", float(math.Inf(-1))),
		expHigh: vector("expHigh", float(88.722831)), expLow: vector("expLow", float(-86.643394)),
		log2e:   vector("log2e", float(math.Log2E)),
		ln2High: vector("ln2High", float(0.693359375)), ln2Low: vector("ln2Low", float(-2.12194440e-4)),
		bias:    vector("bias", U32(126)),
		farHigh: vector("farHigh", float(100)), farLow: vector("farLow", float(-100)),
		geluLinear: vector("geluLinear", float(linear)), geluCubic: vector("geluCubic", float(linear*0.044715)),
	}
	names := []string{"poly0", "poly1", "poly2", "poly3", "poly4", "poly5"}
	for i, p := range []float64{
		1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
	} {
		c.poly[i] = vector(names[i], float(p))
	}
	c.masks = GLOBL("masks", RODATA|NOPTR)
	for i := range 16 {
		word := U32(0)
		if i < 8 {
			word = 1<<32 - 1
		}
		DATA(4*i, word)
	}
	return c
}

// float gives a value by its bits: written as a number, a whole one would become an integer in the assembly.
func float(x float64) Constant { return U32(math.Float32bits(float32(x))) }

func vector(name string, x Constant) Mem {
	m := GLOBL(name, RODATA|NOPTR)
	for i := range 8 {
		DATA(4*i, x)
	}
	return m
}

// load brings a constant into a register where an instruction needs it there.
func load(m Mem) VecVirtual {
	r := YMM()
	VMOVUPS(m, r)
	return r
}

// exp returns e^x.
func (c *constants) exp(x VecVirtual) VecVirtual {
	tooLow, n, r, p := YMM(), YMM(), YMM(), YMM()
	VCMPPS(Imm(0x11), c.expLow, x, tooLow) // x < expLow; false for NaN
	VMINPS(x, load(c.expHigh), r)          // the operand that stands first here is what comes out for NaN
	VMULPS(c.log2e, r, n)
	VROUNDPS(Imm(8), n, n)
	VFNMADD231PS(c.ln2High, n, r)
	VFNMADD231PS(c.ln2Low, n, r)
	VMOVUPS(c.poly[0], p)
	for _, next := range c.poly[1:] {
		VFMADD213PS(next, r, p)
	}
	square := YMM()
	VMULPS(r, r, square)
	VFMADD213PS(r, square, p)
	VADDPS(c.one, p, p)
	VCVTPS2DQ(n, n)
	VPADDD(c.bias, n, n)
	VPSLLD(Imm(23), n, n)
	VMULPS(n, p, p)
	VADDPS(p, p, p)
	VANDNPS(p, tooLow, p)
	return p
}

// sigmoid returns 1 / (1 + e^-x).
func (c *constants) sigmoid(x VecVirtual) VecVirtual {
	minus := YMM()
	VXORPS(c.sign, x, minus)
	e := c.exp(minus)
	VADDPS(c.one, e, e)
	s := load(c.one)
	VDIVPS(e, s, s)
	return s
}

// geluArgument returns x (geluLinear + geluCubic x^2).
func (c *constants) geluArgument(x VecVirtual) VecVirtual {
	u := YMM()
	VMULPS(x, x, u)
	VFMADD213PS(c.geluLinear, load(c.geluCubic), u)
	VMULPS(x, u, u)
	return u
}

// bounded keeps x where the derivatives still change, so that a huge x times a vanishing sigmoid stays nothing.
func (c *constants) bounded(x VecVirtual) VecVirtual {
	v := YMM()
	VMINPS(x, load(c.farHigh), v) // the operand that stands first here is what comes out for NaN
	VMAXPS(v, load(c.farLow), v)
	return v
}

// notFarBelow is the same for functions that grow like x above.
func (c *constants) notFarBelow(x VecVirtual) VecVirtual {
	v := YMM()
	VMAXPS(x, load(c.farLow), v)
	return v
}

// complement returns 1 - s.
func (c *constants) complement(s VecVirtual) VecVirtual {
	r := load(c.one)
	VSUBPS(s, r, r)
	return r
}

func (c *constants) elementwise() {
	c.unary("sigmoid", "1 / (1 + e^-x)", c.sigmoid)
	c.unary("silu", "x / (1 + e^-x)", func(x VecVirtual) VecVirtual {
		s := c.sigmoid(x)
		VMULPS(c.notFarBelow(x), s, s)
		return s
	})
	c.unary("gelu", "GELU in its tanh form", func(x VecVirtual) VecVirtual {
		s := c.sigmoid(c.geluArgument(x))
		VMULPS(c.notFarBelow(x), s, s)
		return s
	})
	c.gradient("siluGrad", "dy times the derivative of SiLU", func(x VecVirtual) VecVirtual {
		s := c.sigmoid(x)
		r := c.complement(s)
		VFMADD213PS(c.one, x, r)
		VMULPS(s, r, r)
		return r
	})
	c.gradient("geluGrad", "dy times the derivative of GELU", func(x VecVirtual) VecVirtual {
		s := c.sigmoid(c.geluArgument(x))
		slope := YMM()
		VMULPS(x, x, slope)
		VMULPS(c.geluCubic, slope, slope)
		VFMADD213PS(c.geluLinear, load(c.three), slope)
		VMULPS(x, slope, slope)
		r := c.complement(s)
		VMULPS(s, r, r)
		VFMADD213PS(s, slope, r)
		return r
	})
}

// walk emits body for each eight elements of n, and once more, with a mask, for what is left; offset counts bytes.
func (c *constants) walk(n, offset Register, body func(mask *VecVirtual)) {
	XORQ(offset, offset)
	SUBQ(Imm(8), n)
	JL(LabelRef("rest"))
	Label("eight")
	body(nil)
	ADDQ(Imm(32), offset)
	SUBQ(Imm(8), n)
	JGE(LabelRef("eight"))
	Label("rest")
	ADDQ(Imm(8), n)
	JZ(LabelRef("done"))
	base, mask := GP64(), YMM()
	LEAQ(c.masks, base)
	SHLQ(Imm(2), n)
	SUBQ(n, base)
	VMOVUPS(Mem{Base: base, Disp: 32}, mask)
	body(&mask)
	Label("done")
}

// read loads eight elements, zeros where the mask has none.
func read(m Mem, mask *VecVirtual) VecVirtual {
	x := YMM()
	if mask == nil {
		VMOVUPS(m, x)
	} else {
		VMASKMOVPS(m, *mask, x)
	}
	return x
}

func write(x VecVirtual, m Mem, mask *VecVirtual) {
	if mask == nil {
		VMOVUPS(x, m)
	} else {
		VMASKMOVPS(x, *mask, m)
	}
}

func (c *constants) unary(name, does string, f func(VecVirtual) VecVirtual) {
	TEXT(name+"AVX2", NOSPLIT, "func(dst, src []float32)")
	Pragma("noescape")
	Doc(name + "AVX2 writes " + does + ".")
	dst, src := Load(Param("dst").Base(), GP64()), Load(Param("src").Base(), GP64())
	n, offset := Load(Param("src").Len(), GP64()), GP64()
	c.walk(n, offset, func(mask *VecVirtual) {
		y := f(read(Mem{Base: src, Index: offset, Scale: 1}, mask))
		write(y, Mem{Base: dst, Index: offset, Scale: 1}, mask)
	})
	VZEROUPPER()
	RET()
}

func (c *constants) gradient(name, does string, f func(VecVirtual) VecVirtual) {
	TEXT(name+"AVX2", NOSPLIT, "func(dst, x, dy []float32)")
	Pragma("noescape")
	Doc(name + "AVX2 writes " + does + ".")
	dst, x, dy := Load(Param("dst").Base(), GP64()), Load(Param("x").Base(), GP64()), Load(Param("dy").Base(), GP64())
	n, offset := Load(Param("x").Len(), GP64()), GP64()
	c.walk(n, offset, func(mask *VecVirtual) {
		slope := f(c.bounded(read(Mem{Base: x, Index: offset, Scale: 1}, mask)))
		VMULPS(read(Mem{Base: dy, Index: offset, Scale: 1}, mask), slope, slope)
		write(slope, Mem{Base: dst, Index: offset, Scale: 1}, mask)
	})
	VZEROUPPER()
	RET()
}
