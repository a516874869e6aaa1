package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rows writes what the layers around the products do to each row.
func (c *constants) rows() {
	c.scaleWhere()
	c.rowKernel("shift", "x - by to dst", "func(dst, x []float32, by float32)", []string{"dst", "x"},
		func(at func(string) Mem, mask *VecVirtual) {
			v := read(at("x"), mask)
			VSUBPS(broadcast("by"), v, v)
			write(v, at("dst"), mask)
		})
	c.rowKernel("affine", "hat * inverse to hat, and that times gain, plus bias, to dst",
		"func(dst, hat, gain, bias []float32, inverse float32)", []string{"dst", "hat", "gain", "bias"},
		func(at func(string) Mem, mask *VecVirtual) {
			v, y := read(at("hat"), mask), YMM()
			VMULPS(broadcast("inverse"), v, v)
			write(v, at("hat"), mask)
			VMULPS(read(at("gain"), mask), v, y)
			VADDPS(read(at("bias"), mask), y, y)
			write(y, at("dst"), mask)
		})
	c.rowKernel("affineGrad", "dy * gain to dy, after dy was added to dBias and dy * hat to dGain",
		"func(dy, hat, gain, dGain, dBias []float32)", []string{"dy", "hat", "gain", "dGain", "dBias"},
		func(at func(string) Mem, mask *VecVirtual) {
			g, v := read(at("dy"), mask), YMM()
			VMULPS(read(at("hat"), mask), g, v)
			VADDPS(read(at("dGain"), mask), v, v)
			write(v, at("dGain"), mask)
			VADDPS(read(at("dBias"), mask), g, v)
			write(v, at("dBias"), mask)
			VMULPS(read(at("gain"), mask), g, g)
			write(g, at("dy"), mask)
		})
	c.rowKernel("normGrad", "inverse * (dh - mean - hat * along) to dh",
		"func(dh, hat []float32, inverse, mean, along float32)", []string{"dh", "hat"},
		func(at func(string) Mem, mask *VecVirtual) {
			g, v := read(at("dh"), mask), read(at("hat"), mask)
			VSUBPS(broadcast("mean"), g, g)
			VMULPS(broadcast("along"), v, v)
			VSUBPS(v, g, g)
			VMULPS(broadcast("inverse"), g, g)
			write(g, at("dh"), mask)
		})
}

// rowKernel writes a kernel over slices of one length, the first of which says how long.
func (c *constants) rowKernel(name, does, signature string, slices []string, body func(at func(string) Mem, mask *VecVirtual)) {
	TEXT(name+"AVX2", NOSPLIT, signature)
	Pragma("noescape")
	Doc(name + "AVX2 writes " + does + ".")
	bases := map[string]Register{}
	for _, s := range slices {
		bases[s] = Load(Param(s).Base(), GP64())
	}
	n, offset := Load(Param(slices[0]).Len(), GP64()), GP64()
	c.walk(n, offset, func(mask *VecVirtual) {
		body(func(s string) Mem { return Mem{Base: bases[s], Index: offset, Scale: 1} }, mask)
	})
	VZEROUPPER()
	RET()
}

// scaleWhere is for lengths that are multiples of eight: bytes cannot be read under a mask.
func (c *constants) scaleWhere() {
	TEXT("scaleWhereAVX2", NOSPLIT, "func(factor float32, x []float32, mask []byte, least int32)")
	Pragma("noescape")
	Doc("scaleWhereAVX2 multiplies x by factor where mask is at least least, and elsewhere by 0; x is a multiple of 8 long.")
	x, mask := Load(Param("x").Base(), GP64()), Load(Param("mask").Base(), GP64())
	n, i := Load(Param("x").Len(), GP64()), GP64()
	factor, below, one := broadcast("factor"), broadcast("least"), YMM()
	VPCMPEQD(one, one, one)
	VPADDD(one, below, below) // least - 1
	XORQ(i, i)
	Label("eight")
	CMPQ(i, n)
	JGE(LabelRef("done"))
	keep, v := YMM(), YMM()
	VPMOVZXBD(Mem{Base: mask, Index: i, Scale: 1}, keep)
	VPCMPGTD(below, keep, keep)
	VMULPS(Mem{Base: x, Index: i, Scale: 4}, factor, v)
	VANDPS(keep, v, v)
	VMOVUPS(v, Mem{Base: x, Index: i, Scale: 4})
	ADDQ(Imm(8), i)
	JMP(LabelRef("eight"))
	Label("done")
	VZEROUPPER()
	RET()
}
