package settings

import (
	"fmt"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// masked stands in print for a secret that is set.
const masked = "********"

// YAML renders the settings as a configuration file, with every field tagged `secret:"true"` masked.
func (s Settings) YAML() ([]byte, error) {
	mask(reflect.ValueOf(&s).Elem())
	out, err := yaml.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("printing the configuration: %w", err)
	}
	return out, nil
}

// mask overwrites the secrets of v, which must be a copy.
func mask(v reflect.Value) {
	for i := range v.NumField() {
		field := v.Field(i)
		switch {
		case field.Kind() == reflect.Struct:
			mask(field)
		case v.Type().Field(i).Tag.Get("secret") == "true" && field.Kind() == reflect.String && field.String() != "":
			field.SetString(masked)
		}
	}
}
