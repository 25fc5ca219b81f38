package mask

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// TestTextReadsAsBinary: a value has one canonical form and so one pseudonym. The
// binary forms are those of a real server.
func TestTextReadsAsBinary(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		text string
		hex  string
	}{
		{KindBytea, `canary\000\001\377\\`, "63616e6172790001ff5c"},
		{KindBytea, `\x63FF`, "63ff"},
		{KindBytea, "plain", "706c61696e"},
		{KindDate, "1987-06-05", "ffffee0f"},
		{KindDate, "0044-03-15 BC", "fff49d7b"},
		{KindDate, "infinity", "7fffffff"},
		{KindDate, "-infinity", "80000000"},
		{KindDate, "2000-02-29", "0000003b"},
		{KindTimestamp, "0044-03-15 12:00:00 BC", "ff1af9e8fb46d000"},
		{KindTimestampTZ, "1987-06-05 13:14:15.1617+05:30", "fffe971b172aa964"},
		{KindTimestampTZ, "1987-06-05 02:44:15.1617-05", "fffe971b172aa964"},
		{KindTimestampTZ, "infinity", "7fffffffffffffff"},
		{KindTime, "13:14:15.161718", "0000000b18780f76"},
		{KindTime, "24:00:00", "000000141dd76000"},
		{KindMoney, "-$1,234.56", "fffffffffffe1dc0"},
		{KindMoney, "($1,234.56)", "fffffffffffe1dc0"},
		{KindMoney, "1.234,56 €", "000000000001e240"},
		{KindNumeric, "-123456789.0123", "0004000240000004000109291a85007b"},
		{KindNumeric, "0.00001200", "0001fffe0000000804b0"},
		{KindNumeric, "120000000000000000000", "0002000500000000000107d0"},
		{KindNumeric, "-0.00", "0000000000000002"},
		{KindNumeric, "NaN", "00000000c0000000"},
		{KindNumeric, "-Infinity", "00000000f0000020"},
		{KindFloat4, "1234.5", "449a5000"},
		{KindFloat8, "-0", "0000000000000000"},
		{KindFloat8, "-98765.4321", "c0f81cd6e9e1b08a"},
		{KindFloat8, "1e+100", "54b249ad2594c37d"},
		{KindInt2, "-12345", "cfc7"},
		{KindOID, "4123456789", "f5c6f515"},
		{KindUUID, "1B4e28ba-2fa1-41d2-883f-0016d3cca427", "1b4e28ba2fa141d2883f0016d3cca427"},
		{KindMACAddr, "08:00:2b:01:02:03", "08002b010203"},
		{KindJSONB, `{"a": 1}`, "017b2261223a20317d"},
	} {
		binary, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		a, errA := canonical(nil, Value{Bytes: []byte(c.text), Type: Type{Kind: c.kind}})
		b, errB := canonical(nil, Value{Bytes: binary, Type: Type{Kind: c.kind}, Format: Binary})
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%q is %x, %v as text, %x, %v as binary", c.text, a, errA, b, errB)
		}
	}
}

func TestMalformedHasNoCanonicalForm(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		text string
	}{
		{KindBytea, `\x0`}, {KindBytea, `\`}, {KindBytea, `a\9`}, {KindBytea, `\400`},
		{KindDate, "2000-13-01"}, {KindDate, "2000-00-01"}, {KindDate, "01/02/2000"}, {KindDate, "2000-01-01 00:00:00"},
		{KindTimestamp, "2000-01-01"}, {KindTimestampTZ, "2000-01-01 00:00:00"}, {KindTimestamp, "2000-01-01 00:00:00+00"},
		{KindTime, "00:00"}, {KindTime, "00:61:00"}, {KindTime, "00:00:00.1234567"}, {KindTime, "00-00-00"},
		{KindMoney, "$"}, {KindMoney, "123456789012345678901"},
		{KindNumeric, "1e5"}, {KindNumeric, "1."}, {KindNumeric, ""}, {KindNumeric, "--1"},
		{KindFloat8, "0x1p4"}, {KindFloat8, "1_0"}, {KindFloat4, "1e99"}, {KindFloat8, ""},
		{KindInt2, "32768"}, {KindInt4, "2147483648"}, {KindOID, "-1"}, {KindInt8, "1 "},
		{KindUUID, "1b4e28ba-2fa1-41d2-883f-0016d3cca42g"}, {KindUUID, "1b4e28ba+2fa1-41d2-883f-0016d3cca427"},
		{KindMACAddr, "08:00:2b:01:02:0g"}, {KindMACAddr, "08-00-2b-01-02-03"}, {KindInet, "192.0.2.1/33"},
		{KindBool, "true"}, {KindInterval, "1 day"},
	} {
		v := Value{Bytes: []byte(c.text), Type: Type{Kind: c.kind}}
		if out, err := canonical(nil, v); err == nil {
			t.Errorf("kind %d: %q is %x", c.kind, c.text, out)
		}
	}
}
