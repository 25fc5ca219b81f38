// Package mask rewrites the values that a policy wants hidden so that they stay
// valid for their wire type and format: a masked int8 is still an int8, in text
// as in binary.
//
// A [Set] holds the methods and the key. Its Rules are compiled from a policy's
// masks, and a [Plan] is compiled from rules and the columns of one result shape.
// Plans rewrite whole DataRow messages of the PostgreSQL protocol, or single
// values for other protocols.
//
// What can't be masked as asked is hidden more: a method that does not fit a type
// redacts, a value that is malformed or of a type that can't be forged becomes
// NULL, and a row that is malformed is refused. No error lets an original through.
//
// Package masktest holds the suite that each Method, and each of yours, must pass.
// This package imports the standard library only.
package mask

import "errors"

// A Method masks one value. Mask appends the masked form of v to dst and returns
// the extended slice; it must not change the bytes that dst already has, nor
// those of v, and must keep neither after it returns.
//
// Any error makes the value NULL, whatever else was returned; a method that wants
// NULL returns [ErrNull]. Mask is never called for NULL, for arrays (it is called
// for each element) or for types that can't be forged. For json and jsonb that come
// from a column as they are, it is called for each string as a text and for each
// number as a numeric, and a NULL is a null of JSON; names and structure stay.
//
// Mask is called concurrently and for every value on the data path: it must not
// block, and it should not allocate. v.Bytes is as hostile as the data is.
type Method interface {
	Mask(dst []byte, v Value) ([]byte, error)
}

// MethodFunc makes a Method of a function. A nil MethodFunc returns [ErrNull].
type MethodFunc func(dst []byte, v Value) ([]byte, error)

// Mask calls f.
func (f MethodFunc) Mask(dst []byte, v Value) ([]byte, error) {
	if f == nil {
		return dst, ErrNull
	}
	return f(dst, v)
}

// A Value is one value as it stands on the wire. It is never NULL.
type Value struct {
	// Bytes is the encoded value. It is read-only and valid during the call.
	Bytes []byte
	// Type is the value's type. The zero Type can't be forged.
	Type Type
	// Format is how Bytes is encoded, and how the masked value must be.
	Format Format
	// Keep is the rule's number of trailing characters to leave readable. Methods
	// other than "partial" may use it as they like.
	Keep int
}

// Format is the encoding of a value, with the numbers of the PostgreSQL protocol's
// format codes.
type Format uint8

// The formats. Any other is refused when a plan is compiled.
const (
	Text   Format = 0
	Binary Format = 1
)

// The names of the built-in methods, which every Set has.
const (
	// MethodNull makes the value NULL.
	MethodNull = "null"
	// MethodRedact puts a constant of the type in the value's place: "[redacted]",
	// 0, false, 2000-01-01, an empty range.
	MethodRedact = "redact"
	// MethodHash puts a keyed pseudonym in the value's place. Equal values have
	// equal pseudonyms in all tables, sessions and formats under the same key.
	MethodHash = "hash"
	// MethodFake puts a keyed, stable value of similar shape in the value's place.
	// The length of texts of up to 64 characters, their usual punctuation and the
	// number of digits of numbers stay visible.
	MethodFake = "fake"
	// MethodPartial leaves the last Keep characters of a text readable, but never
	// more than half of them, rounded down. A text that is not longer than Keep is
	// masked whole. Texts that are not UTF-8 and other types are redacted.
	MethodPartial = "partial"
	// MethodEmail leaves the first character and the domain of an e-mail address
	// readable. Texts that are no address and other types are redacted.
	MethodEmail = "email"
)

// MethodDetect is what [Plan.Method] returns for a column of which the values pass
// but for what is found in them. It is no method.
const MethodDetect = "detect"

// Errors that callers can test for.
var (
	// ErrNull is how a Method says that the value is to be NULL.
	ErrNull = errors.New("mask: value becomes NULL")
	// ErrMalformed says that a value or a row is not what its type or the protocol
	// allows. It holds nothing of the data.
	ErrMalformed = errors.New("mask: malformed")
	// ErrUnknownMethod says that a rule names a method that the Set does not have.
	ErrUnknownMethod = errors.New("mask: unknown method")
	// ErrInvalidRule says that a rule lacks a table or column, or keeps less than
	// nothing.
	ErrInvalidRule = errors.New("mask: invalid rule")
	// ErrNoKey says that a rule needs a key and the Set has none.
	ErrNoKey = errors.New("mask: method needs a key")
	// ErrNoRules is returned where rules are needed and none are set.
	ErrNoRules = errors.New("mask: no rules")
)
