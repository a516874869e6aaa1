// Package build says what program runs: its version, the commit it was built from, and how. The command `version`, telemetry's
// service.version and the manifests of bundles and ONNX models say the same, because they all ask here.
//
// A release is told its version when it is linked. A program that `go install module@v1.2.3` built knows it from the module, one that
// was built in a clone knows its commit from git, and everything between two releases is the next one's "-dev". What is not known is
// empty, never guessed.
//
// It imports nothing of the project.
package build
