package pgparse_test

import (
	"fmt"

	"github.com/headgate/gateway/intercept/pgproxy/internal/pgparse"
)

func ExampleNew() {
	parser, err := pgparse.New(pgparse.Config{MaxBytes: 64 << 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	tree, err := parser.Parse("SELECT 1; SELECT 2")
	fmt.Println(len(tree.GetStmts()), err)
	_, err = parser.Parse("SELECT 1 FORM t")
	fmt.Println(err)
	// Output:
	// 2 <nil>
	// syntax error at or near "t"
}
