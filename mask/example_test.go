package mask_test

import (
	"bytes"
	"fmt"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/policy"
	"github.com/headgate/gateway/policy/secret"
)

func ExampleNewSet() {
	set, err := mask.NewSet(mask.Config{
		Key: secret.New("32 random bytes from a key store"),
		Methods: map[string]mask.Method{
			"initial": mask.MethodFunc(func(dst []byte, v mask.Value) ([]byte, error) {
				if v.Type.Kind != mask.KindText || len(v.Bytes) == 0 {
					return mask.Redact(dst, v)
				}
				return append(dst, v.Bytes[0], '.'), nil
			}),
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	initial, err := set.Method("initial")
	if err != nil {
		fmt.Println(err)
		return
	}
	const textOID, int4OID = 25, 23
	name, _ := initial.Mask(nil, mask.Value{Bytes: []byte("Alice"), Type: mask.TypeOID(textOID, -1)})
	age, _ := initial.Mask(nil, mask.Value{Bytes: []byte("42"), Type: mask.TypeOID(int4OID, -1)})
	fmt.Printf("%s %s\n", name, age)
	// Output: A. 0
}

func ExampleSet_Rules() {
	set, err := mask.NewSet(mask.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	rules, err := set.Rules([]policy.Mask{
		{Table: "public.users", Column: "email", Method: "email"},
		{Table: "*.users", Column: "*", Method: "redact"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rules.Match(mask.Source{Schema: "public", Table: "users", Column: "email"}))

	_, err = set.Rules([]policy.Mask{{Table: "public.users", Column: "email", Method: "hash"}})
	fmt.Println(err)
	// Output:
	// redact
	// table "public.users", column "email": mask: method needs a key: "hash"
}

func ExampleCompile() {
	set, err := mask.NewSet(mask.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	rules, err := set.Rules([]policy.Mask{{Table: "public.users", Column: "email", Method: "email"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := mask.Compile(rules, []mask.Column{
		{
			Sources: []mask.Source{{Schema: "public", Table: "users", Column: "id"}},
			Traced:  true, Type: mask.TypeOID(20, -1), Format: mask.Binary,
		},
		{
			Sources: []mask.Source{{Schema: "public", Table: "users", Column: "email"}},
			Traced:  true, Type: mask.TypeOID(25, -1),
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	row := []byte("\x00\x02\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x00\x11alice@example.com")
	masked, err := plan.Row(nil, row)
	fmt.Printf("%q %v\n", masked, err)
	// Output: "\x00\x02\x00\x00\x00\b\x00\x00\x00\x00\x00\x00\x00\a\x00\x00\x00\x10a***@example.com" <nil>
}

func ExampleTypeOID() {
	const varcharOID = 1043
	fmt.Println(mask.TypeOID(varcharOID, 5+4) == mask.Type{Kind: mask.KindText, Limit: 5})
	fmt.Println(mask.TypeOID(4_000_000, -1) == mask.Type{}) // an extension's type
	// Output:
	// true
	// true
}

func ExampleRedact() {
	const uuidOID = 2950
	v := mask.Value{Bytes: []byte("1b4e28ba-2fa1-41d2-883f-0016d3cca427"), Type: mask.TypeOID(uuidOID, -1)}
	out, err := mask.Redact(nil, v)
	fmt.Println(string(out), err)
	// Output: 00000000-0000-0000-0000-000000000000 <nil>
}

// A policy's mask with "detect" hides what is found in text, by the built-in kinds
// and by detectors of the host.
func ExampleDetectorFunc() {
	ticket := mask.DetectorFunc(func(text []byte, from int) (start, end int, ok bool) {
		at := bytes.Index(text[from:], []byte("TICKET-"))
		if at < 0 {
			return 0, 0, false
		}
		return from + at, from + at + len("TICKET-"), true
	})
	set, err := mask.NewSet(mask.Config{Detectors: map[string]mask.Detector{"ticket": ticket}})
	if err != nil {
		fmt.Println(err)
		return
	}
	rules, err := set.Rules([]policy.Mask{{Table: "*.*", Column: "*", Method: "redact", Detect: []string{"email", "ticket"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(rules.Message(nil, []byte("ada@example.com asks about TICKET-7"))))
	// Output: [email] asks about [ticket]7
}
