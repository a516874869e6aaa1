// Package settings is Freshet's one configuration: a YAML file, then the environment, both strict.
//
// It may import the packages whose Config it is made of. It reads files and the environment and does nothing else.
//
// What always holds in it: an unknown key is an error that names it; freshet.example.yaml holds exactly the defaults; a
// setting marked as secret is never printed.
package settings
