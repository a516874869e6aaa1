package secure_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/certs"
	"github.com/freshet/freshet/schemas/secure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTLSValidate(t *testing.T) {
	require.NoError(t, secure.TLS{}.Validate())
	require.NoError(t, secure.TLS{Enabled: true}.Validate())
	require.NoError(t, secure.TLS{Enabled: true, CAFile: "a", CertFile: "b", KeyFile: "c", ServerName: "d"}.Validate())
	for want, c := range map[string]secure.TLS{
		`ca_file is "a" but enabled is false: set enabled to true`: {CAFile: "a"},
		`cert_file is "b" but enabled is false`:                    {CertFile: "b", KeyFile: "c"},
		`server_name is "d" but enabled is false`:                  {ServerName: "d"},
		`key_file is empty but cert_file is "b": name`:             {Enabled: true, CertFile: "b"},
		`cert_file is empty but key_file is "c": name`:             {Enabled: true, KeyFile: "c"},
	} {
		require.ErrorContains(t, c.Validate(), want)
	}
}

func authority(t *testing.T) *certs.Authority {
	t.Helper()
	a, err := certs.New(t.TempDir())
	require.NoError(t, err)
	return a
}

func issue(t *testing.T, a *certs.Authority, w certs.Wish) certs.Pair {
	t.Helper()
	p, err := a.Issue(w)
	require.NoError(t, err)
	return p
}

func TestTLSLoadRefuses(t *testing.T) {
	a := authority(t)
	own, other := issue(t, a, certs.Wish{Name: "own"}), issue(t, a, certs.Wish{Name: "other"})
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	require.NoError(t, os.WriteFile(garbage, []byte(canary), 0o600))
	none := filepath.Join(t.TempDir(), "none.pem")
	for name, c := range map[string]struct {
		tls  secure.TLS
		want []string
	}{
		"no CA":         {secure.TLS{CAFile: none}, []string{"tls.ca_file is", none, "no such file", "name a PEM file"}},
		"CA is no PEM":  {secure.TLS{CAFile: garbage}, []string{"tls.ca_file is", "holds no certificate", "BEGIN CERTIFICATE"}},
		"CA is a key":   {secure.TLS{CAFile: own.KeyFile}, []string{"holds no certificate"}},
		"no cert":       {secure.TLS{CertFile: none, KeyFile: own.KeyFile}, []string{"tls.cert_file is", none}},
		"no key":        {secure.TLS{CertFile: own.CertFile, KeyFile: none}, []string{"tls.key_file is", none}},
		"key is no PEM": {secure.TLS{CertFile: own.CertFile, KeyFile: garbage}, []string{"tls.key_file is", garbage, own.CertFile, "without a passphrase"}},
		"another's key": {secure.TLS{CertFile: own.CertFile, KeyFile: other.KeyFile}, []string{"tls.key_file is", "own private key"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.tls.Enabled = true
			_, err := c.tls.Load()
			for _, part := range c.want {
				require.ErrorContains(t, err, part)
			}
			require.NotContains(t, err.Error(), canary)
			require.Equal(t, secure.BadFile, secure.ProblemOf(err))
		})
	}
	loaded, err := secure.TLS{CAFile: none}.Load()
	require.NoError(t, err)
	require.Nil(t, loaded, "not enabled")
}

// serve answers each connection with what it reads, encrypted where c is not nil, until the test ends.
func serve(t *testing.T, c *tls.Config, speak func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	if c != nil {
		l = tls.NewListener(l, c)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			speak(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return l.Addr().String()
}

func echo(conn net.Conn) { _, _ = io.CopyN(conn, conn, 2) }

// exchange connects and has two bytes echoed.
func exchange(t *testing.T, address string, settings secure.TLS) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	settings.Enabled = true
	c, err := settings.Load()
	require.NoError(t, err)
	plain, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	require.NoError(t, err)
	conn, err := secure.Client(ctx, plain, address, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hi")); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 2)); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	return nil
}

func TestHandshakesAndWhatTheyFailFor(t *testing.T) {
	a, stranger := authority(t), authority(t)
	good := issue(t, a, certs.Wish{Name: "server"})
	mine, theirs := issue(t, a, certs.Wish{Name: "client"}), issue(t, stranger, certs.Wish{Name: "client"})
	plain := serve(t, nil, func(conn net.Conn) { _, _ = io.WriteString(conn, "-ERR unknown command\r\n") })
	silent := serve(t, nil, func(net.Conn) {})
	simple := serve(t, good.Server(), echo)
	mutual := serve(t, a.Mutual(good), echo)
	expired := serve(t, issue(t, a, certs.Wish{Name: "expired", Expired: true}).Server(), echo)
	elsewhere := serve(t, issue(t, a, certs.Wish{Name: "elsewhere", Hosts: []string{"kafka.example"}}).Server(), echo)

	ours := secure.TLS{CAFile: a.File}
	named, identified, impostor := ours, ours, ours
	named.ServerName = "kafka.example"
	identified.CertFile, identified.KeyFile = mine.CertFile, mine.KeyFile
	impostor.CertFile, impostor.KeyFile = theirs.CertFile, theirs.KeyFile
	for name, c := range map[string]struct {
		address string
		tls     secure.TLS
		want    secure.Problem
	}{
		"unknown authority":           {simple, secure.TLS{CAFile: stranger.File}, secure.Untrusted},
		"the system's authorities":    {simple, secure.TLS{}, secure.Untrusted},
		"expired":                     {expired, ours, secure.Expired},
		"another name":                {elsewhere, ours, secure.WrongName},
		"plain server":                {plain, ours, secure.NoTLS},
		"server that hangs up":        {silent, ours, secure.NoTLS},
		"no certificate of ours":      {mutual, ours, secure.ClientCertificate},
		"a certificate of a stranger": {mutual, impostor, secure.ClientCertificate},
	} {
		err := exchange(t, c.address, c.tls)
		require.Error(t, err, name)
		require.Equal(t, c.want, secure.ProblemOf(err), "%s: %v", name, err)
		require.True(t, secure.IsRefused(fmt.Errorf("dialling: %w", err)), name)
	}
	require.NoError(t, exchange(t, simple, ours))
	require.NoError(t, exchange(t, elsewhere, named))
	require.NoError(t, exchange(t, mutual, identified))
}

func TestProblemsThatMayPassAreNotRefusals(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = net.Dial("tcp", l.Addr().String())
	require.Equal(t, secure.Unreachable, secure.ProblemOf(err))
	require.False(t, secure.IsRefused(err))
	require.Equal(t, secure.Unclear, secure.ProblemOf(io.EOF))
	require.Equal(t, io.EOF, secure.Refused(secure.Unclear, io.EOF))
	require.NoError(t, secure.Refused(secure.Denied, nil))
	require.Equal(t, secure.Unclear, secure.ProblemOf(nil))
	require.Equal(t, secure.Denied, secure.ProblemOf(fmt.Errorf("x: %w", secure.Refused(secure.Denied, io.EOF))))
}
