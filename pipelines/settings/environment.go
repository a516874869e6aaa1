package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

// others are variables with our prefix that are no settings: the configuration file, the library for foreign towers, and what
// tests and the scripts around them take.
var others = []string{"CONFIG", "DATA", "KERNELS", "ONNXRUNTIME", "SERVERS_", "TEST_"}

// refuseUnknownVariables makes a mistyped variable an error, as a mistyped key in the file is one: a setting that silently
// keeps its default is found much later.
func refuseUnknownVariables(variables map[string]string) error {
	defaults := Default()
	known, err := env.GetFieldParamsWithOptions(&defaults, env.Options{Prefix: EnvPrefix})
	if err != nil {
		return fmt.Errorf("listing the variables: %w", err)
	}
	movedTo := make(map[string]string, len(moved))
	for old, path := range moved {
		movedTo[variableOf(old)] = variableOf(path)
	}
	for name := range variables {
		if now, was := movedTo[name]; was {
			return fmt.Errorf("%s is %s now: give the value there", name, now)
		}
		rest := strings.TrimPrefix(name, EnvPrefix)
		isOther := slices.ContainsFunc(others, func(other string) bool {
			return rest == other || strings.HasSuffix(other, "_") && strings.HasPrefix(rest, other)
		})
		isSetting := slices.ContainsFunc(known, func(p env.FieldParams) bool { return p.Key == name })
		if !isOther && !isSetting {
			return fmt.Errorf("%s is no setting: a variable is its setting's path in capitals, as in %sKAFKA_BROKERS; "+
				"freshet.example.yaml has them all", name, EnvPrefix)
		}
	}
	return nil
}
