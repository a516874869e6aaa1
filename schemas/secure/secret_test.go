package secure_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/caarlos0/env/v11"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/freshet/freshet/schemas/secure"
)

// section is a part of the settings with a secret.
type section struct {
	Username string        `yaml:"username" json:"username" env:"USERNAME"`
	Password secure.Secret `yaml:"password" json:"password" env:"PASSWORD"`
}

const canary = "hunter2"

func TestASecretDoesNotShow(t *testing.T) {
	s := section{"ann", canary}
	var shown bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10v", "%U"} {
		fmt.Fprintf(&shown, verb+"\n", s)
		fmt.Fprintf(&shown, verb+"\n", &s)
		fmt.Fprintf(&shown, verb+"\n", []section{s})
		fmt.Fprintf(&shown, verb+"\n", s.Password)
		fmt.Fprintf(&shown, verb+"\n", map[secure.Secret]any{s.Password: &s.Password})
	}
	fmt.Fprintln(&shown, s.Password, fmt.Errorf("with %w", fmt.Errorf("%v", s)))
	for _, h := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
		slog.New(h).Info("m", "secret", s.Password, "section", s, "pointer", &s, slog.Group("g", "s", s.Password))
	}
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.Contains(t, string(text), secure.Masked)
	shown.Write(text)
	text, err = yaml.Marshal(s)
	require.NoError(t, err)
	require.Contains(t, string(text), secure.Masked)
	shown.Write(text)
	func() {
		defer func() { fmt.Fprintf(&shown, "%+v", recover()) }()
		panic(s)
	}()

	require.NotContains(t, shown.String(), canary)
	require.NotContains(t, shown.String(), fmt.Sprintf("%x", canary))
	require.Equal(t, canary, s.Password.Reveal())
	require.Equal(t, `{ann ********}`, fmt.Sprintf("%v", s))
	require.JSONEq(t, `{"username":"ann","password":""}`, mustJSON(t, section{Username: "ann"}), "an empty one shows that it is")
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

func TestASecretIsReadLikeAString(t *testing.T) {
	var s section
	require.NoError(t, yaml.Unmarshal([]byte("password: hunter2"), &s))
	require.EqualValues(t, canary, s.Password)
	s = section{}
	require.NoError(t, env.ParseWithOptions(&s, env.Options{Environment: map[string]string{"PASSWORD": canary}}))
	require.EqualValues(t, canary, s.Password)
}

func TestReadSecret(t *testing.T) {
	folder := t.TempDir()
	file := func(text string) string {
		path := filepath.Join(folder, fmt.Sprintf("%x", text))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	for text, want := range map[string]string{
		"hunter2": "hunter2", "hunter2\n": "hunter2", "hunter2\r\n": "hunter2", "with spaces \n": "with spaces ", "ü€\n": "ü€",
	} {
		got, err := secure.ReadSecret("sasl.password", "", file(text))
		require.NoError(t, err)
		require.Equal(t, want, got.Reveal(), "%q", text)
	}
	got, err := secure.ReadSecret("password", canary, "")
	require.NoError(t, err)
	require.EqualValues(t, canary, got)
	got, err = secure.ReadSecret("password", "", "")
	require.NoError(t, err)
	require.Empty(t, got)

	for name, c := range map[string]struct{ file, want string }{
		"nowhere":   {filepath.Join(folder, "none"), `none": no such file or directory; name a file that this process may read`},
		"a folder":  {folder, "is a directory; name a file"},
		"empty":     {file("\n"), "it is empty; write the secret into it"},
		"two lines": {file(canary + "\n" + canary + "\n"), "more than one line"},
	} {
		_, err := secure.ReadSecret("sasl.password", "", c.file)
		require.ErrorContains(t, err, c.want, name)
		require.ErrorContains(t, err, fmt.Sprintf("sasl.password_file is %q", c.file), name)
		require.NotContains(t, err.Error(), canary, name)
		require.Equal(t, secure.BadFile, secure.ProblemOf(err), name)
		require.True(t, secure.IsRefused(err), name)
	}
}

func TestCheckSecret(t *testing.T) {
	require.NoError(t, secure.CheckSecret("password", canary, ""))
	require.NoError(t, secure.CheckSecret("password", "", "file"))
	require.False(t, secure.Secret("").Set(""))
	err := secure.CheckSecret("password", canary, "/run/secret")
	require.EqualError(t, err, `password_file is "/run/secret" and password is set too: keep one of the two`)
}
