package secure

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
)

// Masked stands for a secret that is set, wherever it would be printed.
const Masked = "********"

// Secret is a password or a token. Whatever prints it prints Masked, or nothing for an empty one; only Reveal gives it away.
// (What prints an unexported field prints it raw, since it may not call the field's methods: keep secrets in exported ones.)
type Secret string

// Reveal returns the secret itself, for the server that asks for it.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Masked
}

// Format implements fmt.Formatter: also %d and %x of a string show what it holds.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'q' || verb == 'v' && f.Flag('#') {
		text = strconv.Quote(text)
	}
	_, _ = io.WriteString(f, text)
}

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, which JSON and YAML ask for.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Set says whether there is a secret in either of the two places where one may be given.
func (s Secret) Set(file string) bool { return s != "" || file != "" }

// CheckSecret refuses a secret that is given twice. The error begins with setting, the name of the secret's own.
func CheckSecret(setting string, given Secret, file string) error {
	if given != "" && file != "" {
		return fmt.Errorf("%s_file is %q and %s is set too: keep one of the two", setting, file, setting)
	}
	return nil
}

// ReadSecret returns the secret that was given, or the one that file holds, without the line end that an editor leaves behind
// it; it is empty when neither is set. The error is a *FileError.
func ReadSecret(setting string, given Secret, file string) (Secret, error) {
	if file == "" {
		return given, nil
	}
	setting += "_file"
	text, err := os.ReadFile(file)
	if err != nil {
		return "", newFileError(setting, file, err, "name a file that this process may read")
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	switch {
	case secret == "":
		return "", newFileError(setting, file, errors.New("it is empty"), "write the secret into it")
	case strings.ContainsAny(secret, "\r\n\x00"):
		return "", newFileError(setting, file, errors.New("it holds more than one line"), "write the secret alone into it")
	}
	return Secret(secret), nil
}
