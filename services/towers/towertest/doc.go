// Package towertest makes bundles of random weights for the tests of other rooms: towers with every property of trained ones
// but taste. It may import services/towers alone.
package towertest
