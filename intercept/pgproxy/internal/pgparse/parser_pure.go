//go:build !cgo || windows

package pgparse

import (
	"errors"
	"fmt"
	"sync"

	"github.com/wasilibs/go-pgquery/parser"
)

// module guards the one instance of the WebAssembly parser: each further one
// would cost a compilation and its own memory. The lock makes calls wait for
// each other. An instance that has trapped keeps a damaged stack and error
// state and can't be taken out of use, so that one trap refuses all that
// follows; the limits exist to make it unreachable.
var module guarded

type guarded struct {
	mu      sync.Mutex
	trapped bool
}

// rawParse parses text that has passed the limits. The tree is the protobuf
// encoding of a ParseResult.
func rawParse(sql string) ([]byte, error) {
	return module.call(func() ([]byte, error) { return parser.ParseToProtobuf(sql) })
}

func (g *guarded) call(parse func() ([]byte, error)) (tree []byte, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.trapped {
		return nil, fmt.Errorf("%w: an earlier statement trapped it", ErrParser)
	}
	defer func() {
		if r := recover(); r != nil {
			g.trapped = true
			tree, err = nil, fmt.Errorf("%w: trap: %v", ErrParser, r)
		}
	}()
	tree, err = parse()
	return tree, translate(err)
}

func translate(err error) error {
	var failed *parser.Error
	if errors.As(err, &failed) {
		return &SyntaxError{Message: failed.Message, Position: failed.Cursorpos, File: sourceFile(failed.Filename), Routine: failed.Funcname}
	}
	return err
}
