//go:build !amd64

package matrix

func available() []*kernels { return []*kernels{&portable} }
