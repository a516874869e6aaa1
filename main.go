// Freshet is a streaming recommendation pipeline: fresh user embeddings in Redis, item candidates in Milvus, and
// recommendations over a Kafka request-reply topic.
//
// The packages producers and schemas are the API of this module: they follow semantic versioning. All other packages may change
// with any version.
package main

import (
	"context"
	"os"

	"github.com/freshet/freshet/pipelines/commands"
)

func main() {
	var t commands.Table
	os.Exit(commands.Execute(context.Background(), &t, &t.Global, os.Args[1:], commands.Standard()))
}
