package embedded

import "github.com/twmb/franz-go/pkg/sr/srfake"

// Registry is a schema registry with Confluent's API in this process. The embedded srfake.Registry lets a test seed schemas and
// answer calls itself.
type Registry struct{ *srfake.Registry }

// StartRegistry starts a registry on a free loopback port.
func StartRegistry(options ...srfake.Option) *Registry { return &Registry{srfake.New(options...)} }
