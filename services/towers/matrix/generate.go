package matrix

//go:generate go -C internal/generate run . -out ../../kernels_amd64.s -pkg matrix -stubs ../../kernels_amd64_stubs.go
