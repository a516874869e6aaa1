//go:build !cgo

package onnxruntime

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABuildWithoutCgoSaysSo(t *testing.T) {
	_, _, err := Inspect(nil)
	require.ErrorContains(t, err, "CGO_ENABLED=1")
	_, err = Open(nil, nil, nil)
	require.ErrorContains(t, err, "CGO_ENABLED=1")
}
