package re2_test

import (
	"errors"
	"fmt"

	"github.com/headgate/gateway/mask/re2"
)

// What a pattern finds is what a mask with "detect" hides. A group named "value"
// leaves what stands around it.
func ExampleNew() {
	badge, err := re2.New(`badge (?P<value>EMP-\d{6})\b`)
	if err != nil {
		fmt.Println(err)
		return
	}
	text := []byte("ada has badge EMP-123456")
	start, end, ok := badge.Find(text, 0)
	fmt.Println(string(text[start:end]), ok)
	_, err = re2.New(`x*`)
	fmt.Println(errors.Is(err, re2.ErrPattern))
	// Output:
	// EMP-123456 true
	// true
}
