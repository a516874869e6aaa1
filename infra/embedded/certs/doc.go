// Package certs makes certificate authorities and certificates for tests against servers that speak TLS. It imports nothing of
// the project.
//
// What always holds: keys are made anew for each test and lie in the folder that the test named; a certificate is for
// loopback addresses unless other hosts were asked for.
package certs
