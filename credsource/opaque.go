package credsource

import (
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"slices"
)

// OpaqueKey returns a copy of cert whose private key can sign and do nothing
// else: it formats as an address and can't be marshalled. cert itself is left as
// it is. It fails if cert has no certificate or no key that can sign.
func OpaqueKey(cert *tls.Certificate) (*tls.Certificate, error) {
	if cert == nil || len(cert.Certificate) == 0 {
		return nil, errors.New("credsource: no certificate")
	}
	signer, ok := cert.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("credsource: certificate without a signing key")
	}
	out := *cert
	out.Certificate = slices.Clone(cert.Certificate)
	out.SupportedSignatureAlgorithms = slices.Clone(cert.SupportedSignatureAlgorithms)
	out.PrivateKey = &opaqueSigner{public: signer.Public(), sign: signer.Sign}
	return &out, nil
}

// opaqueSigner keeps the key in a method value, which reflection can't open.
type opaqueSigner struct {
	public crypto.PublicKey
	sign   func(io.Reader, []byte, crypto.SignerOpts) ([]byte, error)
}

var _ crypto.Signer = (*opaqueSigner)(nil)

// Public returns the public key.
func (s *opaqueSigner) Public() crypto.PublicKey { return s.public }

// Sign signs as the hidden key does.
func (s *opaqueSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.sign(random, digest, opts)
}
