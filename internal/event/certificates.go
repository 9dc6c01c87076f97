package event

import (
	"crypto/x509"
	"fmt"
	"io"
)

// maxCertificates bounds a file of certificates, in octets. A host's whole set has some
// hundred thousand.
const maxCertificates = 4 << 20

// ReadCertificates returns the certificates of this host's authorities and those of a
// file beside them. The error says the mend.
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
		return nil, fmt.Errorf("the file %s holds no certificate: write it in PEM, from -----BEGIN CERTIFICATE----- on", path)
	}
	return pool, nil
}
