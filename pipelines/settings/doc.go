// Package settings is Freshet's one configuration: a YAML file, and over it the environment.
//
// It may import the packages whose Config it is made of. It reads files and the environment and does nothing else.
//
// What always holds in it: an unknown key in the file is an error that names it; freshet.example.yaml holds exactly the
// defaults, and its comments are those of the fields; the variable of a setting is its path in capitals behind FRESHET_; a
// setting marked as secret is never printed; a setting that has moved is an error at its old place that names the new one.
package settings
