// Package count holds a function that is built to WebAssembly when the program registers it. It is an ordinary
// package: tests and other programs import it as any other.
package count

import (
	"go/scanner"
	"go/token"

	"github.com/squall-faas/squall/fn"
)

// Count counts the identifiers of one Go source file.
func Count(_ fn.Context, source []byte) (map[string]int, error) {
	counts := map[string]int{}
	file := token.NewFileSet().AddFile("", -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, 0)
	for {
		_, tok, name := s.Scan()
		switch tok {
		case token.EOF:
			return counts, nil
		case token.IDENT:
			counts[name]++
		}
	}
}
