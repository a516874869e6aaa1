// Package matrix holds the float32 arithmetic that the towers are made of: matrix products, and elementwise and reducing
// kernels over vectors. It stands apart because training time is decided here: gonum reaches 5 to 8 GFLOP/s a core, the
// kernels of this package several times that.
//
// It may import nothing of the project. What always holds in it:
//
//   - Matrices are row-major slices with a leading dimension, the distance in elements between two rows.
//   - Row i of a product depends on row i of A, on B, and on nothing else: not on m, not on the other rows, bit for bit.
//     A batch of users therefore equals the same users one by one. The elementwise kernels hold the same: what becomes of
//     an element does not depend on where in the slice it stands.
//   - Everything is single-threaded, safe for concurrent calls and, once its pooled buffers are warm, free of allocation.
//   - The processor decides the kernels at start (AVX-512, AVX2, else portable Go); FRESHET_KERNELS=portable|avx2|avx512
//     overrides that, downwards only. AVX2 and AVX-512 products are equal bit for bit; portable ones differ in the last
//     bits, as they round each product before adding it.
//
// The assembly is generated: see internal/generate.
package matrix
