// Package towertest makes bundles of random weights for the tests of other rooms: towers with every property of trained ones
// but taste; and foreign ones, as ONNX models. It may import services/towers, its onnx and its onnxruntime.
package towertest
