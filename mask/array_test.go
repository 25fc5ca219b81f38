package mask_test

import (
	"encoding/hex"
	"testing"

	"github.com/headgate/gateway/mask"
)

func arrayOf(k mask.Kind) mask.Type { return mask.Type{Kind: k, Array: true} }

func TestTextArrays(t *testing.T) {
	for _, c := range []struct {
		method string
		typ    mask.Type
		in     string
		want   string // "" for NULL
	}{
		{mask.MethodRedact, arrayOf(mask.KindInt4), "{1,NULL,3}", `{"0",NULL,"0"}`},
		{mask.MethodRedact, arrayOf(mask.KindInt4), "{}", "{}"},
		{mask.MethodRedact, arrayOf(mask.KindInt4), "[0:1][-1:0]={{1,2},{3,4}}", `[0:1][-1:0]={{"0","0"},{"0","0"}}`},
		{mask.MethodRedact, arrayOf(mask.KindBox), "{(1,1),(0,0);(2,2),(1,1)}", `{"(0,0),(0,0)";"(0,0),(0,0)"}`},
		{mask.MethodRedact, arrayOf(mask.KindJSON), `{"{\"a\": 1}"}`, `{"{\"a\": 0}"}`},
		{mask.MethodRedact, arrayOf(mask.KindBytea), `{"\\x00ff"}`, `{"\\x"}`},
		{mask.MethodPartial, arrayOf(mask.KindText), `{"NULL",null,"a,b}c","x\"y\\z"}`, `{"**LL",null,"***}c","***\\z"}`},
		{mask.MethodNull, arrayOf(mask.KindInt4), "{1,2}", ""},
		{mask.MethodRedact, arrayOf(mask.KindText), "canary", ""},
		{mask.MethodRedact, arrayOf(mask.KindText), "", ""},
		{mask.MethodRedact, arrayOf(mask.KindText), "{canary", ""},
		{mask.MethodRedact, arrayOf(mask.KindText), "{canary}}", ""},
		{mask.MethodRedact, arrayOf(mask.KindText), "{a}canary", ""},
		{mask.MethodRedact, arrayOf(mask.KindText), `{"canary}`, ""},
		{mask.MethodRedact, arrayOf(mask.KindText), `{can"ary}`, ""},
		{mask.MethodRedact, arrayOf(mask.KindText), `{"canary\`, ""},
		{mask.MethodRedact, arrayOf(mask.KindText), "[canary]={a}", ""},
		{mask.MethodRedact, arrayOf(mask.KindText), "[0:1]", ""},
		{mask.MethodRedact, arrayOf(mask.KindText), "[0:1]=", ""},
		{mask.MethodRedact, arrayOf(mask.KindText), "{{{{{{{canary}}}}}}}", ""},
	} {
		plan := sampleCompile(t, c.method, mask.Value{Type: c.typ})
		got, null := plan.Value(nil, 0, []byte(c.in))
		if string(got) != c.want || null != (c.want == "") {
			t.Errorf("%s(%s) = %s, null %v; want %s", c.method, c.in, got, null, c.want)
		}
	}
}

func TestBinaryArrays(t *testing.T) {
	const two = "00000001" + "00000000" + "00000017" + "00000002" + "00000001" // int4[1:2], no NULLs
	for name, c := range map[string]struct{ in, want string }{
		"two elements":     {two + "00000004" + "0000002a" + "00000004" + "0000002b", two + "00000004" + "00000000" + "00000004" + "00000000"},
		"no dimensions":    {"000000000000000000000017", "000000000000000000000017"},
		"cut header":       {two[:30], ""},
		"seven dimensions": {"00000007" + two[8:], ""},
		"too few elements": {two + "00000004" + "0000002a", ""},
		"bytes after":      {two + "00000004" + "0000002a" + "00000004" + "0000002b" + "00", ""},
		"long element":     {two + "00000004" + "0000002a" + "00000005" + "0000002b", ""},
		"huge dimensions": {"00000002" + "00000000" + "00000017" + "ffffffff" + "00000001" + "ffffffff" + "00000001" +
			"ffffffff", ""},
	} {
		plan := sampleCompile(t, mask.MethodRedact, mask.Value{Type: arrayOf(mask.KindInt4), Format: mask.Binary})
		in, err := hex.DecodeString(c.in)
		if err != nil {
			t.Fatal(err)
		}
		got, null := plan.Value(nil, 0, in)
		if hex.EncodeToString(got) != c.want || null != (c.want == "") {
			t.Errorf("%s: %x, null %v; want %s", name, got, null, c.want)
		}
	}
}

// TestBinaryArrayFlagsNulls: elements that become NULL are announced.
func TestBinaryArrayFlagsNulls(t *testing.T) {
	in, err := hex.DecodeString("00000001" + "00000000" + "00000618" + "00000001" + "00000001" + "00000001" + "ff")
	if err != nil {
		t.Fatal(err)
	}
	plan := sampleCompile(t, mask.MethodRedact, mask.Value{Type: arrayOf(mask.KindBit), Format: mask.Binary})
	got, null := plan.Value(nil, 0, in) // a bit string without its length is malformed
	const want = "00000001" + "00000001" + "00000618" + "00000001" + "00000001" + "ffffffff"
	if hex.EncodeToString(got) != want || null {
		t.Errorf("got %x, null %v", got, null)
	}
}
