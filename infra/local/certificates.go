package local

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
	"slices"
	"time"
)

// Certificates live long; they are made anew a month before the first would end, or when one is missing.
const (
	validFor    = 5 * 365 * 24 * time.Hour
	renewBefore = 30 * 24 * time.Hour
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// ensureCertificates makes, in dir, the authority ca.pem with server.pem and one client certificate for each user, and the
// authority stranger-ca.pem with stranger.pem. Keys are PKCS #8, which Kafka wants.
func ensureCertificates(dir string) error {
	names := append(slices.Clone(users), "ca", "server", "stranger-ca", "stranger")
	if !slices.ContainsFunc(names, func(name string) bool { return !fresh(filepath.Join(dir, name)) }) {
		return nil
	}
	ca, err := newAuthority(dir, "ca", "Freshet local servers")
	if err != nil {
		return err
	}
	for _, name := range append(slices.Clone(users), "server") {
		if err := ca.sign(dir, name); err != nil {
			return err
		}
	}
	stranger, err := newAuthority(dir, "stranger-ca", "A stranger to Freshet's local servers")
	if err != nil {
		return err
	}
	return stranger.sign(dir, "stranger")
}

// fresh says whether a certificate and its key are there and will be valid for a while.
func fresh(path string) bool {
	pair, err := tls.LoadX509KeyPair(path+".pem", path+".key")
	return err == nil && time.Until(pair.Leaf.NotAfter) > renewBefore
}

func newAuthority(dir, file, name string) (authority, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return authority{}.issue(dir, file, template)
}

// sign issues a certificate for a server on this machine or for the user of that name.
func (a authority) sign(dir, name string) error {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if name == "server" {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		template.DNSNames = []string{"localhost"}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	}
	_, err := a.issue(dir, name, template)
	return err
}

// issue writes file.key and file.pem, signed by the authority, or by itself if that is none.
func (a authority) issue(dir, file string, template *x509.Certificate) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return a, fmt.Errorf("making the key of %s: %w", file, err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return a, fmt.Errorf("drawing the serial number of %s: %w", file, err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(validFor)
	issuer, signer := a.certificate, a.key
	if issuer == nil {
		issuer, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &key.PublicKey, signer)
	if err != nil {
		return a, fmt.Errorf("signing the certificate of %s: %w", file, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return a, fmt.Errorf("reading the certificate of %s: %w", file, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return a, fmt.Errorf("encoding the key of %s: %w", file, err)
	}
	for _, part := range []struct {
		suffix, kind string
		bytes        []byte
	}{{".key", "PRIVATE KEY", secret}, {".pem", "CERTIFICATE", der}} {
		text := pem.EncodeToMemory(&pem.Block{Type: part.kind, Bytes: part.bytes})
		if err := writeFile(filepath.Join(dir, file+part.suffix), text); err != nil {
			return a, fmt.Errorf("writing %s%s: %w", file, part.suffix, err)
		}
	}
	return authority{certificate, key}, nil
}

// trust is the TLS configuration of a client that trusts an authority's PEM file.
func trust(ca string) (*tls.Config, error) {
	text, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("reading the authority's certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("reading %s: no certificate in it", ca)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
