package pgproxy_test

import "strings"

// A specimen is a column of a type with a value that the masks must hide.
type specimen struct {
	// typ is the type as SQL writes it, value an expression of it.
	typ, value string
	// null says that no value of the type can be made up: masked, it is NULL.
	null bool
	// since is the first major version of the server that takes the value.
	since int
}

// typeSetup makes the types that the specimens have and the server has not built in.
const typeSetup = `CREATE TYPE mood AS ENUM ('calm', 'canary-mood'); CREATE DOMAIN mail AS varchar(40) CHECK (length(value) > 2);
CREATE DOMAIN mails AS text[]; CREATE DOMAIN quantity AS numeric(6,2) NOT NULL; CREATE DOMAIN letter AS mail;
CREATE TYPE pair AS (a text, m mood); CREATE DOMAIN boxed AS pair; CREATE TYPE deep AS (n int, p pair, l text[], ms mail[], ps pair[], b boxed, r int4range, d date);
CREATE TYPE one AS (a text); CREATE TYPE textrange AS RANGE (subtype = text); CREATE TYPE mailrange AS RANGE (subtype = mail);
CREATE TABLE measured (a int, b int, c text DEFAULT 'canary'); INSERT INTO measured SELECT i % 3, i % 3, 'canary' FROM generate_series(1, 100) i;
CREATE STATISTICS canaries (ndistinct, dependencies, mcv) ON a, b FROM measured; ANALYZE measured`

// specimens has every type of pg_type that a column can be of, TestEveryTypeHasASpecimen
// says so, with declared lengths and the values at the ends of what a type holds.
func specimens() []specimen {
	var out []specimen
	for line := range strings.SplitSeq(strings.TrimSpace(literals), "\n") {
		typ, values, _ := strings.Cut(strings.TrimSpace(line), ": ")
		for value := range strings.SplitSeq(values, " | ") {
			out = append(out, specimen{typ: typ, value: "'" + strings.ReplaceAll(value, "'", "''") + "'::" + typ})
		}
	}
	return append(out,
		specimen{typ: "pg_node_tree", value: "(SELECT adbin FROM pg_attrdef WHERE adrelid = 'measured'::regclass)", null: true},
		specimen{typ: "pg_ndistinct", value: "(SELECT stxdndistinct FROM pg_statistic_ext_data WHERE stxdndistinct IS NOT NULL LIMIT 1)", null: true},
		specimen{typ: "pg_dependencies", value: "(SELECT stxddependencies FROM pg_statistic_ext_data WHERE stxddependencies IS NOT NULL LIMIT 1)", null: true},
		specimen{typ: "pg_mcv_list", value: "(SELECT stxdmcv FROM pg_statistic_ext_data WHERE stxdmcv IS NOT NULL LIMIT 1)", null: true},
		specimen{typ: "interval", value: "'infinity'::interval", since: 17},
		specimen{typ: "interval", value: "'-infinity'::interval", since: 17},
		specimen{typ: "text", value: "repeat('canary ', 10000)"},
		specimen{typ: "jsonb", value: "jsonb_build_object('a', repeat('canary ', 10000))"},
	)
}

// literals are types, and after the colon values.
const literals = `
	bool: t
	bytea: canary | \x00ff0001
	"char": c
	name: canary_name
	int8: -1234567890123456789 | 9223372036854775807 | -9223372036854775808
	int2: -12345 | 32767 | -32768
	int4: 123456789 | 2147483647 | -2147483648
	regproc: pg_sleep
	text: canary Zoë | canary.person@mail.example.org | canary "q" \ {x},(y)
	oid: 4123456789
	tid: (77,12)
	xid: 4123456789
	cid: 4123456789
	json: {"k": [1, "canary"]} | "canary" | 12.5e3 | [{"a": "canary"}, true]
	xml: <canary>1</canary> | canary text
	point: (1.5,-2.5) | (NaN,Infinity)
	lseg: [(1,2),(3,4)]
	path: ((1,2),(3,4),(5,6)) | [(1,2),(3,4)]
	box: (3,4),(1,2)
	polygon: ((1,2),(3,4),(5,6))
	line: {2,3,4}
	cidr: 198.51.100.0/24 | 2001:db8::/32
	float4: 1234.5 | NaN | -Infinity | 3.4e38
	float8: -98765.4321 | NaN | Infinity | 1.7e308 | 5e-324
	circle: <(1,2),3>
	macaddr8: 08:00:2b:01:02:03:04:05
	money: -1234.56 | 92233720368547758.07 | -92233720368547758.08
	macaddr: 08:00:2b:01:02:03
	inet: 198.51.100.7/24 | 2001:db8::7:1 | ::ffff:1.2.3.4
	bpchar: canary person
	bpchar(12): canary
	bpchar(1): Q
	varchar: canary
	varchar(5): canar
	varchar(1): Q
	varchar(200): canary.person@mail.example.org
	date: 1987-06-05 | infinity | -infinity | 0044-03-15 BC | 5874897-12-31 | 4714-11-24 BC
	time: 13:14:15.161718 | 24:00:00
	time(0): 13:14:15
	time(3): 23:59:59.999
	timetz: 13:14:15.1617+05:30 | 24:00:00-15:59:59
	timetz(1): 13:14:15.1+05:30
	timestamp: 1987-06-05 13:14:15.161718 | infinity | -infinity | 0044-03-15 12:00:00 BC | 294276-12-31 23:59:59.999999 | 4714-11-24 00:00:00 BC
	timestamp(0): 1987-06-05 13:14:15
	timestamptz: 1987-06-05 07:44:15.1617+00 | infinity | -infinity | 0044-03-15 12:00:00+00 BC
	timestamptz(2): 1987-06-05 07:44:15.16+00
	interval: 1 year 2 mons 3 days 04:05:06.789 | -1 year -2 mons +3 days -04:05:06 | 178000000 years | -178000000 years | 2147483647 days | 2562047788:00:54.775807
	interval year to month: 1 year 2 mons
	interval day to second(2): 3 days 04:05:06.78
	interval minute: 00:05:00
	bit(5): 10110
	bit(64): 1011011101111011111011111101111111011111111011111111101111111111
	bit(1): 1
	varbit: 1011011 | 1
	varbit(9): 1011011
	varbit(1): 1
	numeric: -123456789.0123 | NaN | Infinity | -Infinity | 0.000000000000000000000012 | 120000000000000000000000000000000
	numeric(3,2): 7.25
	numeric(2,2): 0.75
	numeric(5,0): 54321
	numeric(5,-2): 5432100
	numeric(2,5): 0.00075
	numeric(1000,500): 12345678901234567890.5
	refcursor: canary_cursor
	regprocedure: pg_sleep(double precision)
	regoper: ||/
	regoperator: +(integer,integer)
	regclass: measured
	regtype: mood
	uuid: 1b4e28ba-2fa1-41d2-883f-0016d3cca427
	txid_snapshot: 700:710:703,705
	pg_lsn: 16/B374D848
	tsvector: 'canary':1A,3 'word':2
	tsquery: 'canary' & !'word':AB | 'canary'
	regconfig: english
	regdictionary: english_stem
	jsonb: {"k": [1, "canary", null, true]} | "canary" | 12.5 | [] | {}
	jsonpath: $."canary" ? (@ > 1)
	regnamespace: pg_catalog
	regrole: pg_monitor
	regcollation: "C"
	pg_snapshot: 700:710:703,705
	xid8: 18446744073709551000
	int2vector: 7 8
	oidvector: 7 8
	int4range: [5,9)
	int8range: [,9)
	numrange: (5.5,)
	daterange: [1987-06-05,1987-06-09)
	tsrange: [1987-06-05 13:14:15,infinity]
	tstzrange: (,)
	int4multirange: {[1,3),[5,9)}
	int8multirange: {(,9)}
	nummultirange: {[1.5,2.5]}
	datemultirange: {[1987-06-05,1987-06-09)}
	tsmultirange: {[1987-06-05 13:14:15,)}
	tstzmultirange: {(,)}
	textrange: [canary-a,canary-b)
	textmultirange: {[canary-a,canary-b)}
	mailrange: [canary-a,canary-b)
	mailmultirange: {[canary-a,canary-b)}
	mood: canary-mood
	mail: canary-mail
	letter: canary-mail
	mails: {canary,NULL,"canary, too"}
	quantity: 1234.56
	pair: ("canary, a",canary-mood) | (,)
	boxed: ("canary ""a""",canary-mood)
	one: (canary)
	deep: (7,"(""canary, a"",canary-mood)","{canary,NULL}",{canary-mail},"{""(canary,)"",NULL}","(canary,calm)","[1,5)",1987-06-05)
	information_schema.cardinal_number: 12345
	information_schema.character_data: canary
	information_schema.sql_identifier: canary
	information_schema.time_stamp: 1987-06-05 13:14:15.16+00
	information_schema.yes_or_no: YES
`

// noValue are the types of pg_type of which no value can be had: their input refuses
// all, and no built-in function or table that holds data returns any.
func noValue() []string {
	return []string{"gtsvector", "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary"}
}
