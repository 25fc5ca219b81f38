package pgproxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// Request codes of startup packets (manual, "Message Formats").
const (
	codeCancel = 80877102
	codeSSL    = 80877103
	codeGSSENC = 80877104

	protocolMajor = 3
	protocol30    = 3 << 16
	protocol32    = 3<<16 | 2
)

// maxStartupPacket is the server's own bound, MAX_STARTUP_PACKET_LENGTH.
const maxStartupPacket = 10_000

// startup is a client's startup packet, or its cancel request.
type startup struct {
	protocol   uint32
	parameters map[string]string
	// options are the protocol options asked for, names with prefix "_pq_.".
	options []string
	// cancel is set for a cancel request: the process id and the key.
	cancel *cancelRequest
}

type cancelRequest struct {
	pid uint32
	key []byte
}

// errHandshake says that a client broke the rules before authentication. It gets
// no answer, as a server would give none.
var errHandshake = errors.New("pgproxy: startup refused")

// errVersion says that a client asked for another major version of the protocol.
var errVersion = fmt.Errorf("%w: unsupported protocol version", errHandshake)

// negotiate answers encryption requests and reads the startup packet. It returns
// the connection to go on with, which is a *tls.Conn where TLS was agreed.
//
// TLS may begin at once (PostgreSQL 17) or be asked for. Each kind of encryption
// request is allowed once. Nothing that came before a TLS
// handshake is taken for a part of what it protects: bytes behind an SSLRequest
// that are no handshake break the connection off (CVE-2021-3935).
func negotiate(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, *startup, error) {
	var askedSSL, askedGSS bool
	for first := true; ; first = false {
		packet, err := readStartupPacket(conn)
		if begun, ok := errors.AsType[*tlsBegunError](err); ok && first && config != nil {
			if conn, err = secure(ctx, &resumed{conn, begun.head[:]}, config, true); err == nil {
				packet, err = readStartupPacket(conn)
			}
		}
		if err != nil {
			return conn, nil, err
		}
		code := binary.BigEndian.Uint32(packet)
		switch {
		case code == codeSSL && len(packet) == 4 && !askedSSL:
			askedSSL = true
			if _, encrypted := conn.(*tls.Conn); encrypted {
				return conn, nil, fmt.Errorf("%w: SSLRequest inside TLS", errHandshake)
			}
			if conn, err = answerSSL(ctx, conn, config); err != nil {
				return conn, nil, err
			}
		case code == codeGSSENC && len(packet) == 4 && !askedGSS:
			askedGSS = true
			if _, err := conn.Write([]byte{'N'}); err != nil {
				return conn, nil, err
			}
		case code == codeSSL, code == codeGSSENC:
			return conn, nil, fmt.Errorf("%w: repeated or padded encryption request", errHandshake)
		default:
			s, err := parseStartup(packet)
			return conn, s, err
		}
	}
}

// readStartupPacket reads one packet and nothing beyond it. The returned bytes
// follow the length.
func readStartupPacket(conn net.Conn) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	if head[0] == recordHandshake {
		return nil, &tlsBegunError{head}
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 8 || n > maxStartupPacket {
		return nil, fmt.Errorf("%w: startup packet of %d bytes", errHandshake, n)
	}
	packet := make([]byte, n-4)
	_, err := io.ReadFull(conn, packet)
	return packet, err
}

func answerSSL(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, error) {
	if config == nil {
		_, err := conn.Write([]byte{'N'})
		return conn, err
	}
	if _, err := conn.Write([]byte{'S'}); err != nil {
		return conn, err
	}
	return secure(ctx, conn, config, false)
}

// secure does the TLS handshake. A client that begins with it must say by ALPN
// that it means to speak PostgreSQL, so that one that was sent here by mistake, or
// by an attacker, is not taken at its word; one that has asked before may.
func secure(ctx context.Context, conn net.Conn, config *tls.Config, direct bool) (net.Conn, error) {
	secured := tls.Server(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return conn, fmt.Errorf("%w: %w", errHandshake, err)
	}
	if agreed := secured.ConnectionState().NegotiatedProtocol; agreed != alpn && (direct || agreed != "") {
		return secured, fmt.Errorf("%w: TLS for protocol %q", errHandshake, agreed)
	}
	return secured, nil
}

// alpn is PostgreSQL's name in application layer protocol negotiation.
const alpn = "postgresql"

// recordHandshake is the first byte of a TLS handshake.
const recordHandshake = 0x16

// tlsBegunError says that in place of a packet's length the start of a TLS handshake
// was read.
type tlsBegunError struct{ head [4]byte }

func (*tlsBegunError) Error() string {
	return "pgproxy: startup refused: TLS is not configured, or has begun already"
}

func (*tlsBegunError) Unwrap() error { return errHandshake }

// resumed is a connection some of whose bytes have been read before.
type resumed struct {
	net.Conn
	head []byte
}

func (r *resumed) Read(b []byte) (int, error) {
	if len(r.head) == 0 {
		return r.Conn.Read(b)
	}
	n := copy(b, r.head)
	r.head = r.head[n:]
	return n, nil
}

// parseStartup parses a packet whose encryption has been settled.
func parseStartup(packet []byte) (*startup, error) {
	code := binary.BigEndian.Uint32(packet)
	if code == codeCancel {
		return parseCancel(packet[4:])
	}
	s := &startup{protocol: code, parameters: map[string]string{}}
	if code>>16 != protocolMajor {
		return s, fmt.Errorf("%w %d.%d", errVersion, code>>16, code&0xffff)
	}
	rest := packet[4:]
	for {
		var name, value string
		var ok bool
		if name, rest, ok = cutString(rest); !ok {
			return nil, fmt.Errorf("%w: startup packet is not terminated", errHandshake)
		}
		if name == "" {
			break
		}
		if value, rest, ok = cutString(rest); !ok {
			return nil, fmt.Errorf("%w: parameter without a value", errHandshake)
		}
		if strings.HasPrefix(name, "_pq_.") {
			s.options = append(s.options, name)
			continue
		}
		if _, twice := s.parameters[name]; twice {
			return nil, fmt.Errorf("%w: repeated parameter", errHandshake)
		}
		s.parameters[name] = value
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%w: bytes behind the startup packet's end", errHandshake)
	}
	return s, nil
}

// parseCancel parses a cancel request: a process id and a key of 4 to 256 bytes
// (protocol 3.2).
func parseCancel(rest []byte) (*startup, error) {
	if len(rest) < 8 || len(rest) > 4+256 {
		return nil, fmt.Errorf("%w: cancel request of %d bytes", errHandshake, len(rest))
	}
	return &startup{cancel: &cancelRequest{pid: binary.BigEndian.Uint32(rest), key: bytes.Clone(rest[4:])}}, nil
}

// agreed returns the protocol version to speak and, where the client asked for
// more than that, the NegotiateProtocolVersion that says so.
func (s *startup) agreed() (uint32, []byte) {
	version := uint32(protocol30)
	if s.protocol >= protocol32 {
		version = protocol32
	}
	if s.protocol == version && len(s.options) == 0 {
		return version, nil
	}
	return version, appendMessage(nil, msgNegotiateProtocol, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint32(b, version)
		b = binary.BigEndian.AppendUint32(b, uint32(len(s.options)))
		for _, o := range s.options {
			b = appendText(b, o)
		}
		return b
	})
}
