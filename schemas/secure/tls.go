package secure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
)

// TLS says how the connections to a server are encrypted, and how both sides prove who they are. The files are PEM, and are
// read when a connection is made.
type TLS struct {
	// Enabled encrypts the connections. The server's certificate is always checked.
	Enabled bool `yaml:"enabled" env:"ENABLED"`
	// CAFile holds the certificates of the authorities that may have signed the server's; empty means the system's.
	CAFile string `yaml:"ca_file" env:"CA_FILE"`
	// CertFile and KeyFile are this process's own certificate and key, for a server that asks for one.
	CertFile string `yaml:"cert_file" env:"CERT_FILE"`
	KeyFile  string `yaml:"key_file" env:"KEY_FILE"`
	// ServerName is the name that the server's certificate must bear; empty means the host that is connected to.
	ServerName string `yaml:"server_name" env:"SERVER_NAME"`
}

// Validate names the first setting that cannot work. It reads no file.
func (t TLS) Validate() error {
	for _, s := range []struct{ name, value string }{
		{"ca_file", t.CAFile}, {"cert_file", t.CertFile}, {"key_file", t.KeyFile}, {"server_name", t.ServerName},
	} {
		if s.value != "" && !t.Enabled {
			return fmt.Errorf("%s is %q but enabled is false: set enabled to true, or leave %s empty", s.name, s.value, s.name)
		}
	}
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		return fmt.Errorf("key_file is empty but cert_file is %q: name the certificate's private key", t.CertFile)
	case t.KeyFile != "" && t.CertFile == "":
		return fmt.Errorf("cert_file is empty but key_file is %q: name the key's certificate", t.KeyFile)
	}
	return nil
}

// Load reads the files and returns what crypto/tls needs, nil when TLS is not enabled. Where ServerName is empty, so is that of
// the result. The error is a *FileError.
func (t TLS) Load() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil //nolint:nilnil // as crypto/tls and net/http have it: no configuration, no TLS
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		text, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, newFileError("tls.ca_file", t.CAFile, err, "name a PEM file with the authority's certificate")
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, newFileError("tls.ca_file", t.CAFile, errors.New("it holds no certificate"),
				"give the authority's certificate as PEM, beginning with -----BEGIN CERTIFICATE-----")
		}
	}
	if t.CertFile != "" {
		own, err := t.loadOwn()
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

func (t TLS) loadOwn() (tls.Certificate, error) {
	cert, err := os.ReadFile(t.CertFile)
	if err != nil {
		return tls.Certificate{}, newFileError("tls.cert_file", t.CertFile, err, "name a PEM file that this process may read")
	}
	key, err := os.ReadFile(t.KeyFile)
	if err != nil {
		return tls.Certificate{}, newFileError("tls.key_file", t.KeyFile, err, "name a PEM file that this process may read")
	}
	own, err := tls.X509KeyPair(cert, key)
	if err != nil { // crypto/tls says which of the two is amiss, and shows neither
		return tls.Certificate{}, newFileError("tls.key_file", t.KeyFile, fmt.Errorf("with tls.cert_file %q: %w", t.CertFile, err),
			"give a certificate and its own private key, both as PEM, the key without a passphrase")
	}
	return own, nil
}

// Client makes an encrypted connection out of conn, which it closes on an error. address is what was dialled. The error of a
// server that is not the one we want is a *RefusedError.
func Client(ctx context.Context, conn net.Conn, address string, c *tls.Config) (net.Conn, error) {
	if c.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		c = c.Clone()
		c.ServerName = host
	}
	encrypted := tls.Client(conn, c)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("agreeing on TLS with %s: %w", address, Refused(handshakeProblem(err), err))
	}
	return encrypted, nil
}

// FileError is a file that a setting names and that cannot be used.
type FileError struct {
	// Setting is the path of the setting below the server's own: tls.ca_file.
	Setting, File string
	Remedy        string
	Err           error
}

func newFileError(setting, file string, err error, remedy string) *FileError {
	if cause := new(fs.PathError); errors.As(err, &cause) { // which names the file once more
		err = cause.Err
	}
	return &FileError{Setting: setting, File: file, Remedy: remedy, Err: err}
}

func (e *FileError) Error() string {
	return fmt.Sprintf("%s is %q: %v; %s", e.Setting, e.File, e.Err, e.Remedy)
}

func (e *FileError) Unwrap() error { return e.Err }
