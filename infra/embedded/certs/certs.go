package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority signs certificates.
type Authority struct {
	// File is its certificate, as PEM.
	File string

	folder string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
}

// New makes an authority that keeps its files, and those of the certificates that it signs, in folder.
func New(folder string) (*Authority, error) {
	a := &Authority{folder: folder}
	pair, err := a.Issue(Wish{Name: "authority", authority: true})
	if err != nil {
		return nil, err
	}
	a.File, a.cert, a.key = pair.CertFile, pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey)
	return a, nil
}

// Wish describes a certificate.
type Wish struct {
	// Name is the subject's, and that of the files.
	Name string
	// Hosts are the DNS names and addresses that it is for; none means localhost and the loopback addresses.
	Hosts []string
	// Expired makes one that was valid until yesterday.
	Expired bool

	authority bool
}

// Pair is a certificate with its key, in files and in memory.
type Pair struct {
	CertFile, KeyFile string
	tls.Certificate
}

// Issue makes a certificate that suits servers and clients alike.
func (a *Authority) Issue(w Wish) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("making a key for %s: %w", w.Name, err)
	}
	template := w.template()
	parent, signer := a.cert, a.key
	if w.authority {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return Pair{}, fmt.Errorf("signing the certificate of %s: %w", w.Name, err)
	}
	return a.write(w.Name, der, key)
}

func (w Wish) template() *x509.Certificate {
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: w.Name},
		NotBefore:    now.Add(-48 * time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if w.authority {
		t.IsCA, t.BasicConstraintsValid, t.KeyUsage, t.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
		return t
	}
	if w.Expired {
		t.NotAfter = now.Add(-24 * time.Hour)
	}
	hosts := w.Hosts
	if len(hosts) == 0 {
		hosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	return t
}

func (a *Authority) write(name string, der []byte, key *ecdsa.PrivateKey) (p Pair, err error) {
	p.CertFile, p.KeyFile = filepath.Join(a.folder, name+".pem"), filepath.Join(a.folder, name+".key")
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return p, fmt.Errorf("writing the key of %s: %w", name, err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	for file, text := range map[string][]byte{p.CertFile: cert, p.KeyFile: private} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return p, fmt.Errorf("writing the certificate of %s: %w", name, err)
		}
	}
	if p.Certificate, err = tls.X509KeyPair(cert, private); err != nil {
		return p, fmt.Errorf("reading back the certificate of %s: %w", name, err)
	}
	return p, nil
}

// Server is what a server with this certificate needs.
func (p Pair) Server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{p.Certificate}}
}

// Mutual is what a server needs that asks its clients for a certificate of the authority.
func (a *Authority) Mutual(p Pair) *tls.Config {
	c := p.Server()
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	c.ClientCAs.AddCert(a.cert)
	return c
}
