//go:build !race

package mask_test

import (
	"testing"

	"github.com/headgate/gateway/mask"
	"github.com/headgate/gateway/mask/masktest"
)

// TestRowDoesNotAllocate holds once dst has room. The race detector makes pools
// forget on purpose, so this does not run under it.
func TestRowDoesNotAllocate(t *testing.T) {
	for _, name := range builtins() {
		for i, s := range masktest.Samples() {
			for _, f := range [...]mask.Format{mask.Text, mask.Binary} {
				v := s.Value(f)
				plan, row, dst := sampleCompile(t, name, v), dataRow(v.Bytes), make([]byte, 0, 4096)
				allocs := testing.AllocsPerRun(20, func() {
					if _, err := plan.Row(dst, row); err != nil {
						t.Fatal(err)
					}
				})
				if allocs != 0 {
					t.Errorf("%s: %d/%s, format %d: %v allocations", name, i, s.Name, f, allocs)
				}
			}
		}
	}
}

// TestSearchDoesNotAllocate holds for rows with and without what is looked for.
func TestSearchDoesNotAllocate(t *testing.T) {
	plan, rows := searched(t)
	for name, row := range rows {
		dst := make([]byte, 0, 4096)
		allocs := testing.AllocsPerRun(20, func() {
			if _, changed, err := plan.Rewrite(dst, row); err != nil || changed != (name == "two") {
				t.Fatal(name, changed, err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}
