// Package onnx writes ONNX models: the small part of the Open Neural Network Exchange format that towers need. It stands apart
// because the format has nothing to do with recommendations, and because a schema compiler and its runtime would be many times
// the code that writes five messages.
//
// It also makes good what other tools' exporters do to their models (Inline, Mend), and finds what cannot be made good (Unread). All
// fields that it does not have to change are copied as they are, whatever they mean.
//
// Source: the protobuf schema onnx.proto of the ONNX project, IR version 8, and its operators of opset 17 (the first that has
// LayerNormalization).
//
// It may import nothing of the project. What always holds in it:
//   - A model is written the same, byte for byte, whenever it is the same.
//   - Tables of embeddings are not copied once for every level of nesting: memory peaks at about twice the model's size.
//   - Of other files than a model, only what lies in its own folder is read, and no more than 2 GiB.
//   - A model beyond protobuf's limit of 2 GiB is refused, not written for nobody to read.
package onnx
