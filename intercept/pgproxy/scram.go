package pgproxy

import (
	"bytes"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Mechanisms of SASL (RFC 5802, RFC 7677), and the channel binding that is used
// with one of them (RFC 5929).
const (
	mechanismScram     = "SCRAM-SHA-256"
	mechanismScramPlus = "SCRAM-SHA-256-PLUS"
	bindingEndPoint    = "p=tls-server-end-point,,"
)

// errScram says that a server broke the rules of SCRAM, or did not prove that it
// knows the password.
var errScram = errors.New("pgproxy: the server's SCRAM exchange does not hold")

// A scramExchange logs in to a server by SCRAM-SHA-256. It does what pgconn would,
// with keys that are remembered: PBKDF2 makes a password dear to guess, and as dear
// to use for each connection.
type scramExchange struct {
	keys     *scramKeys
	server   string
	user     string
	password string

	nonce, header, firstBare string
	binding                  []byte
	// expected is the signature by which the server proves itself.
	expected []byte
	verified bool
}

// begin answers the server's list of mechanisms with the SASLInitialResponse. It
// returns nil where there is none that it can use.
func (x *scramExchange) begin(mechanisms []byte, conn *tls.Conn) []byte {
	offered, _, terminated := bytes.Cut(mechanisms, []byte{0, 0})
	names := bytes.Split(offered, []byte{0})
	offers := func(name string) bool {
		return slices.ContainsFunc(names, func(n []byte) bool { return string(n) == name })
	}
	if !terminated || !offers(mechanismScram) || !isPlainText(x.password) {
		return nil
	}
	var raw [18]byte
	_, _ = rand.Read(raw[:]) // never fails
	x.nonce = base64.RawStdEncoding.EncodeToString(raw[:])
	mechanism := mechanismScram
	x.header = "n,,"
	if hash := endPointHash(conn); hash != nil {
		x.header = "y,,"
		if offers(mechanismScramPlus) {
			mechanism, x.header, x.binding = mechanismScramPlus, bindingEndPoint, hash
		}
	}
	x.firstBare = "n=,r=" + x.nonce
	first := x.header + x.firstBare
	return appendMessage(nil, msgPassword, func(b []byte) []byte {
		b = appendText(b, mechanism)
		b = append(b, 0, 0, byte(len(first)>>8), byte(len(first)))
		return append(b, first...)
	})
}

// bound reports whether the login, once verified, is bound to the TLS connection.
func (x *scramExchange) bound() bool { return x.binding != nil }

// isPlainText reports whether SASLprep leaves a password as it is for sure.
func isPlainText(password string) bool {
	for i := range len(password) {
		if password[i] < ' ' || password[i] > '~' {
			return false
		}
	}
	return password != ""
}

// proceed answers the server's first message with the SASLResponse.
func (x *scramExchange) proceed(serverFirst []byte) ([]byte, error) {
	nonce, salt, iterations, err := x.parseFirst(serverFirst)
	if err != nil {
		return nil, err
	}
	k, err := x.keys.of(x.server, x.user, x.password, salt, iterations)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errScram, err)
	}
	withoutProof := "c=" + base64.StdEncoding.EncodeToString(append([]byte(x.header), x.binding...)) + ",r=" + nonce
	signed := []byte(x.firstBare + "," + string(serverFirst) + "," + withoutProof)
	proof := hmacOf(k.stored[:], signed)
	for i := range proof {
		proof[i] ^= k.client[i]
	}
	x.expected = hmacOf(k.server[:], signed)
	return appendMessage(nil, msgPassword, func(b []byte) []byte {
		return append(b, withoutProof+",p="+base64.StdEncoding.EncodeToString(proof)...)
	}), nil
}

// parseFirst takes r=nonce,s=salt,i=iterations apart.
func (x *scramExchange) parseFirst(message []byte) (nonce string, salt []byte, iterations int, err error) {
	fields := bytes.SplitN(message, []byte(","), 4)
	if x.nonce == "" || x.expected != nil || len(fields) < 3 {
		return "", nil, 0, errScram
	}
	r, okR := bytes.CutPrefix(fields[0], []byte("r="))
	s, okS := bytes.CutPrefix(fields[1], []byte("s="))
	i, okI := bytes.CutPrefix(fields[2], []byte("i="))
	if !okR || !okS || !okI || len(r) <= len(x.nonce) || !bytes.HasPrefix(r, []byte(x.nonce)) {
		return "", nil, 0, errScram
	}
	salt, err = base64.StdEncoding.DecodeString(string(s))
	if err != nil {
		return "", nil, 0, errScram
	}
	iterations, err = strconv.Atoi(string(i))
	if err != nil || iterations < 1 || iterations > maxScramIteration {
		return "", nil, 0, errScram
	}
	return string(r), salt, iterations, nil
}

// finish checks the server's last message.
func (x *scramExchange) finish(serverFinal []byte) error {
	text, ok := bytes.CutPrefix(serverFinal, []byte("v="))
	if !ok || x.expected == nil {
		return errScram
	}
	signature, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || !hmac.Equal(signature, x.expected) {
		return errScram
	}
	x.verified = true
	return nil
}

// endPointHash is the server's certificate in the form of tls-server-end-point, nil
// without TLS and where none is defined.
func endPointHash(conn *tls.Conn) []byte {
	if conn == nil {
		return nil
	}
	certificates := conn.ConnectionState().PeerCertificates
	if len(certificates) == 0 {
		return nil
	}
	raw := certificates[0].Raw
	switch certificates[0].SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256:
		sum := sha256.Sum256(raw)
		return sum[:]
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		sum := sha512.Sum384(raw)
		return sum[:]
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		sum := sha512.Sum512(raw)
		return sum[:]
	default:
		return nil
	}
}

// scramKey is what PBKDF2 makes of a password, and what follows from that.
type scramKey struct {
	client, stored, server [sha256.Size]byte
}

func newScramKey(password string, salt []byte, iterations int) (k scramKey, err error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return k, err
	}
	k.client = [sha256.Size]byte(hmacOf(salted, []byte("Client Key")))
	k.stored = sha256.Sum256(k.client[:])
	k.server = [sha256.Size]byte(hmacOf(salted, []byte("Server Key")))
	clear(salted)
	return k, nil
}

func hmacOf(key, message []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(message)
	return m.Sum(nil)
}
