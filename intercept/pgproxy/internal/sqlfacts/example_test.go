package sqlfacts_test

import (
	"fmt"

	"github.com/headgate/gateway/intercept/pgproxy/internal/sqlfacts"
)

func ExampleNew() {
	analyzer, err := sqlfacts.New(sqlfacts.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	q, err := analyzer.Analyze("DELETE FROM sales.orders WHERE id = 7 RETURNING total")
	if err != nil {
		fmt.Println(err)
		return
	}
	s := q.Single()
	fmt.Println(s.Tag, s.Where, s.WritesDerived)
	for _, e := range s.Effects {
		fmt.Println(e.Verb, e.Relation(), e.Columns, e.Filtered)
	}
	// Output:
	// DELETE true false
	// delete {sales orders} [] [{id false false  0}]
	// read {sales orders} [{total false false  0}] [{id false false  0}]
}
