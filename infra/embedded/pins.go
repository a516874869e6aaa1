package embedded

// These imports are for go.mod alone. Without them `go mod tidy` lets two requirements fall back to versions that do not build.
import (
	// kfake asks for a franz-go that does not compile with it.
	_ "github.com/twmb/franz-go/pkg/kversion"
	// The Milvus SDK asks for a google.golang.org/genproto of 2022 that holds the packages which grpc takes from
	// genproto/googleapis/rpc (ambiguous import).
	_ "google.golang.org/genproto/googleapis/type/latlng"
)
