package matrix

// packColumns copies kc x nc elements of op(B) from (pc, jc) into panels of cols columns, each panel step by step of k,
// the last one filled up with zeros: the order in which the kernels read them.
func packColumns(dst []float32, b *operand, pc, kc, jc, nc, cols int) {
	for j := 0; j < nc; j += cols {
		panel := dst[j*kc : (j+cols)*kc]
		width := min(cols, nc-j)
		if width < cols {
			clear(panel)
		}
		if b.trans {
			interleave(panel, cols, b.x[(jc+j)*b.ld+pc:], b.ld, width, kc)
			continue
		}
		for p := range kc {
			at := (pc+p)*b.ld + jc + j
			copy(panel[p*cols:p*cols+width], b.x[at:at+width])
		}
	}
}

// packRows copies mc x kc elements of a transposed A from (ic, pc) into panels as high as the kernels that will read them.
func packRows(dst []float32, a *operand, ic, mc, pc, kc int, kern *kernels) {
	for i := 0; i < mc; {
		rows := kern.height(mc - i)
		panel, from := dst[i*kc:(i+rows)*kc], a.x[pc*a.ld+ic+i:]
		for p := range kc {
			copyFew(panel[p*rows:(p+1)*rows], from[p*a.ld:p*a.ld+rows])
		}
		i += rows
	}
}

// copyFew copies as much as dst holds without the call that copy makes, which costs more than a dozen elements.
func copyFew(dst, src []float32) {
	i := 0
	for ; i+4 <= len(dst); i += 4 {
		*(*[4]float32)(dst[i:]) = *(*[4]float32)(src[i:])
	}
	for ; i < len(dst); i++ {
		dst[i] = src[i]
	}
}

// interleave writes n rows of length kc as columns of dst, whose rows are step apart.
func interleave(dst []float32, step int, src []float32, ld, n, kc int) {
	i := 0
	for ; i+4 <= n; i += 4 {
		s0, s1, s2, s3 := src[i*ld:], src[(i+1)*ld:], src[(i+2)*ld:], src[(i+3)*ld:]
		s0, s1, s2, s3 = s0[:kc], s1[:kc], s2[:kc], s3[:kc]
		at := i
		for p := range s0 {
			d := dst[at : at+4 : at+4]
			d[0], d[1], d[2], d[3] = s0[p], s1[p], s2[p], s3[p]
			at += step
		}
	}
	for ; i < n; i++ {
		at := i
		for _, v := range src[i*ld : i*ld+kc] {
			dst[at] = v
			at += step
		}
	}
}

// Transpose writes the transpose of src, rows x cols, to dst, cols x rows. They must not overlap.
func Transpose(dst []float32, ldd int, src []float32, lds, rows, cols int) {
	checkShape("the source", src, lds, rows, cols, false)
	checkShape("the transpose", dst, ldd, cols, rows, false)
	if rows > 0 && cols > 0 {
		interleave(dst, ldd, src, lds, rows, cols)
	}
}
