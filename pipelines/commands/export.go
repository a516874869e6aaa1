package commands

// Export groups the commands that write for other tools.
type Export struct {
	ONNX ExportONNX `cmd:"" name:"onnx" help:"Write a bundle's towers as ONNX models, with their vocabulary beside them."`
}
