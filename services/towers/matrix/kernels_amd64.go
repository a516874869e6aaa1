package matrix

func available() []*kernels { return []*kernels{&portable} }
