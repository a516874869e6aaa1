// Command generate writes the amd64 assembly of package matrix and its Go declarations:
//
//	go generate ./services/towers/matrix
//
// It is a module of its own, so that the assembler library stays out of Freshet's.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	ConstraintExpr("amd64")
	for _, rows := range []int{6, 4, 2, 1} {
		tile(avx2, rows)
	}
	for _, rows := range []int{12, 8, 4, 2, 1} {
		tile(avx512, rows)
	}
	c := declareConstants()
	c.elementwise()
	c.reductions()
	c.rows()
	Generate()
}
