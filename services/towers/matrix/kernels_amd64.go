package matrix

import "golang.org/x/sys/cpu"

// available lists the tiers that this processor can run, best first. x/sys/cpu also asks whether the operating system saves
// the wide registers. The vector kernels are the same in both tiers.
func available() []*kernels {
	tiers := []*kernels{&portable}
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return tiers
	}
	narrow := kernels{
		name: "avx2", heights: []int{6, 4, 2, 1}, cols: 16, tile: tileAVX2,
		expSum: expSumAVX2, sigmoid: sigmoidAVX2, silu: siluAVX2, siluGrad: siluGradAVX2,
		gelu: geluAVX2, geluGrad: geluGradAVX2, dot: dotAVX2, sum: sumAVX2, max: maxAVX2, axpy: axpyAVX2, scale: scaleAVX2,
		scaleWhere: scaleWhereAVX2, shift: shiftAVX2, affine: affineAVX2, affineGrad: affineGradAVX2, normGrad: normGradAVX2,
	}
	tiers = append([]*kernels{&narrow}, tiers...)
	if !cpu.X86.HasAVX512F {
		return tiers
	}
	wide := narrow
	wide.name, wide.heights, wide.cols, wide.tile = "avx512", []int{12, 8, 4, 2, 1}, 32, tileAVX512
	return append([]*kernels{&wide}, tiers...)
}

func tileAVX2(rows, kc int, a []float32, aRow, aStep int, b []float32, bStep int, c []float32, ldc int, alpha float32, add bool) {
	switch rows {
	case 6:
		tileAVX2x6(kc, &a[0], aRow, aStep, &b[0], bStep, &c[0], ldc, alpha, add)
	case 4:
		tileAVX2x4(kc, &a[0], aRow, aStep, &b[0], bStep, &c[0], ldc, alpha, add)
	case 2:
		tileAVX2x2(kc, &a[0], aRow, aStep, &b[0], bStep, &c[0], ldc, alpha, add)
	default:
		tileAVX2x1(kc, &a[0], aRow, aStep, &b[0], bStep, &c[0], ldc, alpha, add)
	}
}

func tileAVX512(rows, kc int, a []float32, aRow, aStep int, b []float32, bStep int, c []float32, ldc int, alpha float32, add bool) {
	switch rows {
	case 12:
		tileAVX512x12(kc, &a[0], aRow, aStep, &b[0], bStep, &c[0], ldc, alpha, add)
	case 8:
		tileAVX512x8(kc, &a[0], aRow, aStep, &b[0], bStep, &c[0], ldc, alpha, add)
	case 4:
		tileAVX512x4(kc, &a[0], aRow, aStep, &b[0], bStep, &c[0], ldc, alpha, add)
	case 2:
		tileAVX512x2(kc, &a[0], aRow, aStep, &b[0], bStep, &c[0], ldc, alpha, add)
	default:
		tileAVX512x1(kc, &a[0], aRow, aStep, &b[0], bStep, &c[0], ldc, alpha, add)
	}
}
