package masktest

import (
	"encoding/hex"

	"github.com/headgate/gateway/mask"
)

// A Sample is one value as a PostgreSQL server sends it, in both formats.
type Sample struct {
	// Name is the type as SQL writes it.
	Name   string
	OID    uint32
	Typmod int32
	Text   []byte
	Binary []byte
}

// Samples returns values of every kind of type that can be forged, and of arrays.
// Texts contain the word "canary".
func Samples() []Sample {
	var out []Sample
	for _, list := range [...][]sample{basicSamples(), otherSamples(), arraySamples()} {
		for _, s := range list {
			out = append(out, s.decode())
		}
	}
	return out
}

// Value returns the sample as a method gets it.
func (s *Sample) Value(f mask.Format) mask.Value {
	v := mask.Value{Bytes: s.Text, Type: mask.TypeOID(s.OID, s.Typmod), Format: f}
	if f == mask.Binary {
		v.Bytes = s.Binary
	}
	return v
}

type sample struct {
	name   string
	oid    uint32
	typmod int32
	text   string
	hex    string
}

func (s sample) decode() Sample {
	b, err := hex.DecodeString(s.hex)
	if err != nil {
		b = nil // seen by the test of the samples
	}
	return Sample{s.name, s.oid, s.typmod, []byte(s.text), b}
}

func basicSamples() []sample {
	return []sample{
		{"bool", 16, -1, "t", "01"},
		{"bytea", 17, -1, "\\x63616e6172790001ff", "63616e6172790001ff"},
		{"\"char\"", 18, -1, "c", "63"},
		{"name", 19, -1, "canary_name", "63616e6172795f6e616d65"},
		{"int2", 21, -1, "-12345", "cfc7"},
		{"int4", 23, -1, "123456789", "075bcd15"},
		{"int8", 20, -1, "-1234567890123456789", "eeddef0b82167eeb"},
		{"oid", 26, -1, "4123456789", "f5c6f515"},
		{"xid", 28, -1, "4123456789", "f5c6f515"},
		{"xid8", 5069, -1, "18446744073709551000", "fffffffffffffd98"},
		{"tid", 27, -1, "(77,12)", "0000004d000c"},
		{"pg_lsn", 3220, -1, "16/B374D848", "00000016b374d848"},
		{"text", 25, -1, "canary Zoë O'Neil, 42 \"q\" \\ {x}", "63616e617279205a6fc3ab204f274e65696c2c20343220227122205c207b787d"},
		{"text", 25, -1, "canary.person@mail.example.org", "63616e6172792e706572736f6e406d61696c2e6578616d706c652e6f7267"},
		{"varchar(5)", 1043, 9, "canar", "63616e6172"},
		{"varchar(1)", 1043, 5, "Q", "51"},
		{"bpchar(12)", 1042, 16, "canary      ", "63616e617279202020202020"},
		{"varchar(40)", 1043, 44, "+49 (170) 123-4567", "2b3439202831373029203132332d34353637"},
		{"json", 114, -1, "{\"canary\": [1, \"two\"]}", "7b2263616e617279223a205b312c202274776f225d7d"},
		{"jsonb", 3802, -1, "{\"canary\": [1, \"two\"]}", "017b2263616e617279223a205b312c202274776f225d7d"},
		{"jsonpath", 4072, -1, "$.\"canary\"", "01242e2263616e61727922"},
		{"xml", 142, -1, "<canary>1</canary>", "3c63616e6172793e313c2f63616e6172793e"},
		{"float4", 700, -1, "1234.5", "449a5000"},
		{"float8", 701, -1, "-98765.4321", "c0f81cd6e9e1b08a"},
		{"float4", 700, -1, "NaN", "7fc00000"},
		{"float8", 701, -1, "NaN", "7ff8000000000000"},
		{"numeric", 1700, -1, "-123456789.0123", "0004000240000004000109291a85007b"},
		{"numeric(3,2)", 1700, 196614, "7.25", "0002000000000002000709c4"},
		{"numeric(2,2)", 1700, 131078, "0.75", "0001ffff000000021d4c"},
		{"numeric(5,0)", 1700, 327684, "54321", "0002000100000000000510e1"},
		{"numeric", 1700, -1, "0.00001200", "0001fffe0000000804b0"},
		{"numeric", 1700, -1, "120000000000000000000", "0002000500000000000107d0"},
		{"numeric", 1700, -1, "NaN", "00000000c0000000"},
		{"money", 790, -1, "-$1,234.56", "fffffffffffe1dc0"},
		{"macaddr", 829, -1, "08:00:2b:01:02:03", "08002b010203"},
		{"macaddr8", 774, -1, "08:00:2b:01:02:03:04:05", "08002b0102030405"},
		{"inet", 869, -1, "198.51.100.7/24", "02180004c6336407"},
		{"inet", 869, -1, "2001:db8::7:1", "0380001020010db8000000000000000000070001"},
		{"cidr", 650, -1, "198.51.100.0/24", "02180104c6336400"},
		{"cidr", 650, -1, "2001:db8::/32", "0320011020010db8000000000000000000000000"},
		{"date", 1082, -1, "1987-06-05", "ffffee0f"},
		{"date", 1082, -1, "0044-03-15 BC", "fff49d7b"},
		{"date", 1082, -1, "infinity", "7fffffff"},
		{"date", 1082, -1, "5874897-12-31", "7fda970c"},
		{"time", 1083, -1, "13:14:15.161718", "0000000b18780f76"},
		{"timetz", 1266, -1, "13:14:15.1617+05:30", "0000000b18780f64ffffb2a8"},
		{"timestamp", 1114, -1, "1987-06-05 13:14:15.161718", "fffe971fb356af76"},
		{"timestamp", 1114, -1, "0044-03-15 12:00:00 BC", "ff1af9e8fb46d000"},
		{"timestamptz", 1184, -1, "1987-06-05 07:44:15.1617+00", "fffe971b172aa964"},
		{"timestamptz", 1184, -1, "infinity", "7fffffffffffffff"},
		{"interval", 1186, -1, "1 year 2 mons 3 days 04:05:06.789", "000000036c97ca88000000030000000e"},
		{"uuid", 2950, -1, "1b4e28ba-2fa1-41d2-883f-0016d3cca427", "1b4e28ba2fa141d2883f0016d3cca427"},
		{"bit(5)", 1560, 5, "10110", "00000005b0"},
		{"varbit(9)", 1562, 9, "1011011", "00000007b6"},
		{"numeric(4,1)[]", 1231, 262149, "{123.4,0.5}", "0000000100000000000006a400000002000000010000000c0002000000000001007b0fa00000000a0001ffff000000011388"},
	}
}
