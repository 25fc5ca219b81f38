package pgproxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/headgate/gateway/intercept"
)

// Message types of the protocol (manual, "Message Formats"). Some letters mean
// one thing from a client and another from a server.
const (
	msgBind         = 'B'
	msgClose        = 'C'
	msgCopyData     = 'd'
	msgCopyDone     = 'c'
	msgCopyFail     = 'f'
	msgDescribe     = 'D'
	msgExecute      = 'E'
	msgFlush        = 'H'
	msgFunctionCall = 'F'
	msgParse        = 'P'
	msgPassword     = 'p'
	msgQuery        = 'Q'
	msgSync         = 'S'
	msgTerminate    = 'X'

	msgAuthentication    = 'R'
	msgBackendKeyData    = 'K'
	msgBindComplete      = '2'
	msgCloseComplete     = '3'
	msgCommandComplete   = 'C'
	msgCopyOut           = 'H'
	msgDataRow           = 'D'
	msgEmptyQuery        = 'I'
	msgError             = 'E'
	msgNoData            = 'n'
	msgNotice            = 'N'
	msgNotification      = 'A'
	msgParameterDesc     = 't'
	msgParameterStatus   = 'S'
	msgParseComplete     = '1'
	msgPortalSuspended   = 's'
	msgReadyForQuery     = 'Z'
	msgRowDescription    = 'T'
	msgNegotiateProtocol = 'v'
	msgCopyInResponse    = 'G'
	msgFunctionResponse  = 'V'
	msgCopyOutResponse   = 'H'
	msgCopyBothResponse  = 'W'
)

// headerSize is a message's type byte and its length.
const headerSize = 5

// errMalformed says that a peer broke the protocol; the session ends.
var errMalformed = errors.New("pgproxy: malformed message")

// bodyLength reads the length of the body of the message that b starts with. b
// holds at least headerSize bytes.
func bodyLength(b []byte) (int, error) {
	n := binary.BigEndian.Uint32(b[1:])
	if n < 4 || n > 1<<30 {
		return 0, fmt.Errorf("%w: length %d of type %q", errMalformed, n, b[0])
	}
	return int(n) - 4, nil
}

// cutString takes a NUL-terminated string off the front of b.
func cutString(b []byte) (string, []byte, bool) {
	s, rest, ok := bytes.Cut(b, []byte{0})
	if !ok {
		return "", nil, false
	}
	return string(s), rest, true
}

// cutInt16 takes a 16-bit number off the front of b.
func cutInt16(b []byte) (int, []byte, bool) {
	if len(b) < 2 {
		return 0, nil, false
	}
	return int(int16(binary.BigEndian.Uint16(b))), b[2:], true
}

// cutInt32 takes a 32-bit number off the front of b.
func cutInt32(b []byte) (int, []byte, bool) {
	if len(b) < 4 {
		return 0, nil, false
	}
	return int(int32(binary.BigEndian.Uint32(b))), b[4:], true
}

// appendMessage appends a message whose body is written by body.
func appendMessage(b []byte, typ byte, body func([]byte) []byte) []byte {
	start := len(b)
	b = append(b, typ, 0, 0, 0, 0)
	b = body(b)
	binary.BigEndian.PutUint32(b[start+1:], uint32(len(b)-start-1))
	return b
}

func appendText(b []byte, s string) []byte { return append(append(b, s...), 0) }

// appendQuery appends a simple Query.
func appendQuery(b []byte, sql string) []byte {
	return appendMessage(b, msgQuery, func(b []byte) []byte { return appendText(b, sql) })
}

// appendParse appends a Parse without parameter types.
func appendParse(b []byte, name, sql string) []byte {
	return appendMessage(b, msgParse, func(b []byte) []byte {
		return append(appendText(appendText(b, name), sql), 0, 0)
	})
}

// appendDescribePortal appends a Describe of a portal.
func appendDescribePortal(b []byte, name string) []byte {
	return appendMessage(b, msgDescribe, func(b []byte) []byte { return appendText(append(b, 'P'), name) })
}

// appendClose appends the Close of a statement ('S') or portal ('P').
func appendClose(b []byte, target byte, name string) []byte {
	return appendMessage(b, msgClose, func(b []byte) []byte { return appendText(append(b, target), name) })
}

// appendParameterStatus appends a ParameterStatus.
func appendParameterStatus(b []byte, name, value string) []byte {
	return appendMessage(b, msgParameterStatus, func(b []byte) []byte { return appendText(appendText(b, name), value) })
}

// appendReady appends a ReadyForQuery.
func appendReady(b []byte, status byte) []byte {
	return appendMessage(b, msgReadyForQuery, func(b []byte) []byte { return append(b, status) })
}

// Severities of errors and notices.
const (
	severityError  = "ERROR"
	severityFatal  = "FATAL"
	severityNotice = "NOTICE"
)

// problem is the content of an ErrorResponse or NoticeResponse.
type problem struct {
	severity, code, message, detail, hint string
}

func appendProblem(b []byte, typ byte, p problem) []byte {
	return appendMessage(b, typ, func(b []byte) []byte {
		field := func(code byte, value string) {
			if value != "" {
				b = appendText(append(b, code), value)
			}
		}
		field('S', p.severity)
		field('V', p.severity)
		field('C', p.code)
		field('M', p.message)
		field('D', p.detail)
		field('H', p.hint)
		return append(b, 0)
	})
}

// appendRefusal appends the ErrorResponse of a refusal. Its DETAIL is the
// refusal's JSON object, the same on every protocol.
func appendRefusal(b []byte, severity string, r *intercept.Refusal) []byte {
	return appendProblem(b, msgError, problem{
		severity: severity, code: sqlstate(r.Code), message: "headgate: " + r.Reason,
		detail: r.JSON(), hint: r.Hint,
	})
}

// appendRefusalAs is appendRefusal of an ERROR with another SQLSTATE.
func appendRefusalAs(b []byte, code string, r *intercept.Refusal) []byte {
	return appendProblem(b, msgError, problem{
		severity: severityError, code: code, message: "headgate: " + r.Reason, detail: r.JSON(), hint: r.Hint,
	})
}

// sqlstate maps a refusal's code to an SQLSTATE that drivers know how to treat.
func sqlstate(code string) string {
	switch code {
	case intercept.CodeUnparsable:
		return "42601" // syntax_error
	case intercept.CodeTooLarge, intercept.CodeLimitExceeded:
		return "54000" // program_limit_exceeded
	case intercept.CodeRateLimited:
		return "53400" // configuration_limit_exceeded
	case intercept.CodeUnsupported:
		return "0A000" // feature_not_supported
	case intercept.CodeApprovalCanceled:
		return "57014" // query_canceled
	case intercept.CodeUnauthenticated:
		return "28P01" // invalid_password
	case intercept.CodeUpstream:
		return "08006" // connection_failure
	case intercept.CodeSessionEnded, intercept.CodeRecorder:
		return "57P01" // admin_shutdown
	case intercept.CodePolicyError, intercept.CodeInternal:
		return "XX000" // internal_error
	default:
		return "42501" // insufficient_privilege
	}
}
