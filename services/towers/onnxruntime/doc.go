// Package onnxruntime runs ONNX models with ONNX Runtime, a C library that is looked for when the first model is opened and not
// before: a program that has no such model needs none. The library is not part of this project. Version 1.24 or newer of it is
// found where FRESHET_ONNXRUNTIME names the file, or under its usual name where the system looks for libraries.
//
// A program that was built without cgo cannot load it, and says so; all else that it does works.
//
// The package may import nothing of the project, and is the only one that knows the library. What always holds in it:
//   - A session may be run from many goroutines at once; each run has one thread, as the goroutines around it use the cores.
//   - A session is closed when the last reference to it is gone, and not while it runs.
//   - What cannot be loaded is refused with what was tried and what to do.
package onnxruntime
