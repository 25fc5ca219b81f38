package file

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"github.com/headgate/gateway/credsource"
	"github.com/headgate/gateway/policy/secret"
)

// A decoder fills c from a file and, for key pairs, the file of the key. Its
// errors must not hold anything of the content: those of encoding/json and of
// crypto/tls may, and are replaced.
type decoder func(c *credsource.Credential, content, key []byte) error

// decoderOf returns nil for an unknown format.
func decoderOf(f Format) decoder {
	switch f {
	case FormatPassword:
		return decodePassword
	case FormatToken:
		return decodeToken
	case FormatPrivateKey:
		return decodePrivateKey
	case FormatJSON:
		return decodeJSON
	case FormatTLS:
		return decodeTLS
	default:
		return nil
	}
}

var errEmpty = errors.New("file is empty")

func decodePassword(c *credsource.Credential, content, _ []byte) error {
	c.Password = secret.FromBytes(trimNewline(content))
	return requireContent(c.Password)
}

func decodeToken(c *credsource.Credential, content, _ []byte) error {
	c.Token = secret.FromBytes(trimNewline(content))
	return requireContent(c.Token)
}

func decodePrivateKey(c *credsource.Credential, content, _ []byte) error {
	if len(trimNewline(content)) == 0 {
		return errEmpty
	}
	c.PrivateKey = secret.FromBytes(content)
	return nil
}

func requireContent(v secret.Value) error {
	if v.IsEmpty() {
		return errEmpty
	}
	return nil
}

// trimNewline removes one "\n" or "\r\n" from the end: editors and echo add one,
// and a password may end in others.
func trimNewline(b []byte) []byte {
	b, found := bytes.CutSuffix(b, []byte("\n"))
	if found {
		b = bytes.TrimSuffix(b, []byte("\r"))
	}
	return b
}

// document is the JSON form. It never leaves this file.
type document struct {
	Username string    `json:"username"`
	Password string    `json:"password"`
	Token    string    `json:"token"`
	Expires  time.Time `json:"expires"`
}

func decodeJSON(c *credsource.Credential, content, _ []byte) error {
	if !utf8.Valid(content) {
		return errors.New("not UTF-8")
	}
	var doc document
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return errors.New("not a credential document")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data after the credential document")
	}
	if doc.Username != "" {
		if c.Username != "" {
			return errors.New("user name is given twice")
		}
		c.Username = doc.Username
	}
	if doc.Password == "" && doc.Token == "" {
		return errors.New("document has neither password nor token")
	}
	c.Password, c.Token, c.Expires = secret.New(doc.Password), secret.New(doc.Token), doc.Expires
	return nil
}

func decodeTLS(c *credsource.Credential, content, key []byte) error {
	pair, err := tls.X509KeyPair(content, key)
	if err != nil {
		return errors.New("not a certificate with its key")
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return errors.New("certificate can't be parsed")
	}
	c.Expires = leaf.NotAfter
	c.Certificate, err = credsource.OpaqueKey(&pair)
	return err
}
