//go:build !unix

package local

import (
	"errors"
	"os/exec"
)

type signal int

const (
	terminate signal = iota
	kill
	suspend
	resume
)

var errSystem = errors.New("local servers need Linux or macOS: use infra/compose")

func detach(*exec.Cmd) {}

func send(process, signal) error { return errSystem }

func look(process) condition { return gone }

func birth(int) (string, error) { return "", errSystem }
