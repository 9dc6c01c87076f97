package event

import (
	"crypto/x509"
	"fmt"
	"io"
)

// maxCertificates is how much of a file of certificates is read, in octets. The complete
// set of a host has a few hundred thousand.
const maxCertificates = 4 << 20

// ReadCertificates returns the certificates of this host's authorities together with those
// in a file. The error says what to do.
func ReadCertificates(path string) (*x509.CertPool, error) {
	f, err := open(path)
	if err != nil {
		return nil, secretError(path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCertificates))
	if err != nil {
		return nil, secretError(path, err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a host without any
	}
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("the file %s contains no certificate: write it in PEM, beginning with -----BEGIN CERTIFICATE-----", path)
	}
	return pool, nil
}
