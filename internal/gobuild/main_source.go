package gobuild

import (
	"fmt"
	"os"
	"path/filepath"
)

// mainPlace says where the generated file would lie and which package to build. For a library that is a directory
// below it, where its internal packages may be imported from. A main package cannot be imported, so the file joins it.
func mainPlace(pkg *listed) (target, file string) {
	if pkg.Name == "main" {
		return ".", free(pkg.Dir, "squall_serve", ".go")
	}
	dir := free(pkg.Dir, "squall_serve", "")
	return "./" + filepath.Base(dir), filepath.Join(dir, "main.go")
}

// free is a path in dir that nothing on disk has.
func free(dir, name, ext string) string {
	path := filepath.Join(dir, name+ext)
	for i := 2; ; i++ {
		if _, err := os.Lstat(path); err != nil {
			return path
		}
		path = filepath.Join(dir, fmt.Sprintf("%s%d%s", name, i, ext))
	}
}

// mainSource is the file that serves the func. The names are ones that no package is likely to have.
func mainSource(pkg *listed, sig Signature) []byte {
	if pkg.Name == "main" {
		return fmt.Appendf(nil, `package main

import squall_fn %q

func init() { squall_fn.Serve(squall_fn.%s(%s)) }
`, fnPath, sig.wrapper(), sig.Func)
	}
	return fmt.Appendf(nil, `package main

import (
	squall_user %q
	squall_fn %q
)

func init() { squall_fn.Serve(squall_fn.%s(squall_user.%s)) }

func main() {}
`, pkg.ImportPath, fnPath, sig.wrapper(), sig.Func)
}
