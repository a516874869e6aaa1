package secure

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// Problem is why a server cannot be reached or would not have us, as far as an operator's remedy depends on it.
type Problem int

// The problems. Trying again helps against none but Unreachable and Unclear.
const (
	// Unclear is any other error, such as a connection that the server closed.
	Unclear Problem = iota
	// Unreachable means that nothing answers there: nobody listens, no such host, no answer in time.
	Unreachable
	// BadFile means that a file which the settings name cannot be used.
	BadFile
	// NoTLS means that the server does not speak TLS there.
	NoTLS
	// Untrusted means that no authority which we trust signed the server's certificate.
	Untrusted
	// WrongName means that the server's certificate is for other names.
	WrongName
	// Expired means that the server's certificate is not valid now.
	Expired
	// ClientCertificate means that the server does not accept our certificate, or that we have none.
	ClientCertificate
	// Credentials means that the server does not know the user, or the password, token or mechanism is another.
	Credentials
	// Denied means that the server knows the user and does not allow what was asked for.
	Denied
)

// RefusedError is a problem that trying again does not cure.
type RefusedError struct {
	Problem Problem
	Err     error
}

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// Refused marks err with its problem. Where the problem may pass by itself, it returns err as it is.
func Refused(p Problem, err error) error {
	if err == nil || p == Unclear || p == Unreachable {
		return err
	}
	return &RefusedError{Problem: p, Err: err}
}

// IsRefused says whether trying again is no use: an operator has to mend the settings, or the server's.
func IsRefused(err error) bool {
	p := ProblemOf(err)
	return p != Unclear && p != Unreachable
}

// ProblemOf finds out what an error is about. What the servers' own protocols say, their clients mark with Refused.
func ProblemOf(err error) Problem {
	if marked, ok := errors.AsType[*RefusedError](err); ok {
		return marked.Problem
	}
	if _, ok := errors.AsType[*FileError](err); ok {
		return BadFile
	}
	if p := certificateProblem(err); p != Unclear {
		return p
	}
	return networkProblem(err)
}

// handshakeProblem is the problem of a TLS handshake that failed. A server which hangs up in the middle of it, or talks of
// something else, does not speak TLS.
func handshakeProblem(err error) Problem {
	if p := certificateProblem(err); p != Unclear {
		return p
	}
	for _, hungUp := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET} {
		if errors.Is(err, hungUp) {
			return NoTLS
		}
	}
	return networkProblem(err)
}

// ownCertificateAlerts are what a server answers our certificate with, or the lack of one (RFC 8446, 6.2).
var ownCertificateAlerts = []tls.AlertError{
	42,  // bad_certificate
	43,  // unsupported_certificate
	44,  // certificate_revoked
	45,  // certificate_expired
	46,  // certificate_unknown
	48,  // unknown_ca
	49,  // access_denied
	116, // certificate_required
}

func certificateProblem(err error) Problem {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return Untrusted
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return WrongName
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if invalid.Reason == x509.Expired {
			return Expired
		}
		return Untrusted
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return Untrusted
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return NoTLS
	}
	// With TLS 1.3 the server looks at our certificate when the handshake is over for us: its alert may come with the first
	// answer. crypto/tls does not export the alert's type, but the texts.
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		for _, alert := range ownCertificateAlerts {
			if op.Err.Error() == alert.Error() {
				return ClientCertificate
			}
		}
	}
	return Unclear
}

func networkProblem(err error) Problem {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return Unreachable
	}
	for _, away := range []error{
		syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ETIMEDOUT, os.ErrDeadlineExceeded,
	} {
		if errors.Is(err, away) {
			return Unreachable
		}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return Unreachable
	}
	return Unclear
}
