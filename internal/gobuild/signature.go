package gobuild

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/squall-faas/squall/fault"
)

// squallPath is the module that a package gets fn from; fnPath is fn.
const (
	squallPath = "github.com/squall-faas/squall"
	fnPath     = squallPath + "/fn"
	valuePath  = squallPath + "/value"
)

// Signature of a func, as far as its source tells.
type Signature struct {
	// Func is its name.
	Func string
	// Params are the types of the parameters after the Context, as the source writes them; Result is that of the
	// result, empty for a func that returns only an error.
	Params []string
	Result string
	// In and Out are their coarse names, as value.TypeName gives them: any where only the compiler could tell.
	In  []string
	Out string
}

// wrapper is the constructor of package fn that fits.
func (s Signature) wrapper() string {
	if s.Result == "" {
		return "Effect"
	}
	return [...]string{"Native0", "Native", "Native2", "Native3"}[len(s.Params)]
}

// expected ends the messages about funcs that do not fit.
const expected = "expected func(fn.Context, A) (R, error) with at most three arguments, or func(fn.Context, A) error"

// find looks for the func symbol in the package's files.
func find(pkg *listed, symbol string) (Signature, error) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range pkg.GoFiles {
		file, err := parser.ParseFile(fset, filepath.Join(pkg.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return Signature{}, fault.New(fault.InvalidArgument, "the package in %s does not parse: %w", pkg.Dir, err)
		}
		files = append(files, file)
	}
	var exported []string
	for _, file := range files {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil {
				continue
			}
			if f.Name.Name != symbol {
				if f.Name.IsExported() {
					exported = append(exported, f.Name.Name)
				}
				continue
			}
			if !f.Name.IsExported() && pkg.Name != "main" {
				return Signature{}, fault.New(fault.InvalidArgument, "func %s of %s is not exported: write it with a capital letter", symbol, pkg.ImportPath)
			}
			return signatureOf(fset, newNamer(file, files), f)
		}
	}
	return Signature{}, fault.New(fault.InvalidArgument, "package %s has no func %q: %s", pkg.ImportPath, symbol, suggest(exported))
}

func suggest(names []string) string {
	if len(names) == 0 {
		return "it exports no func at all"
	}
	const most = 20
	slices.Sort(names)
	text := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		text += ", …"
	}
	return "it has " + text
}

// signatureOf checks that f is something Squall can call.
func signatureOf(fset *token.FileSet, types namer, f *ast.FuncDecl) (Signature, error) {
	sig := Signature{Func: f.Name.Name, In: []string{}, Out: "null"}
	wrong := func(why string) (Signature, error) {
		return Signature{}, fault.New(fault.InvalidArgument, "func %s %s: %s", sig.Func, why, expected)
	}
	if f.Type.TypeParams != nil {
		return wrong("has type parameters")
	}
	params := flatten(f.Type.Params)
	if len(params) == 0 || !isContext(types.file, params[0]) {
		return wrong("does not take a fn.Context first")
	}
	for _, p := range params[1:] {
		if _, variadic := p.(*ast.Ellipsis); variadic {
			return wrong("takes a variable number of arguments")
		}
		sig.Params = append(sig.Params, source(fset, p))
		sig.In = append(sig.In, types.name(p))
	}
	if len(sig.Params) > 3 {
		return wrong(fmt.Sprintf("takes %d arguments; put them into a struct", len(sig.Params)))
	}
	results := flatten(f.Type.Results)
	if len(results) == 0 || !isError(results[len(results)-1]) {
		return wrong("does not return an error last")
	}
	switch {
	case len(results) == 2:
		sig.Result, sig.Out = source(fset, results[0]), types.name(results[0])
	case len(results) > 2:
		return wrong(fmt.Sprintf("returns %d results and an error; put them into a struct", len(results)-1))
	case len(sig.Params) != 1:
		return wrong(fmt.Sprintf("takes %d arguments and returns nothing but an error", len(sig.Params)))
	}
	return sig, nil
}

// flatten gives one type for each parameter or result.
func flatten(list *ast.FieldList) []ast.Expr {
	if list == nil {
		return nil
	}
	var out []ast.Expr
	for _, field := range list.List {
		for range max(1, len(field.Names)) {
			out = append(out, field.Type)
		}
	}
	return out
}

// isContext reports whether t is fn.Context by the imports of its file.
func isContext(file *ast.File, t ast.Expr) bool {
	switch t := t.(type) {
	case *ast.SelectorExpr:
		pkg, ok := t.X.(*ast.Ident)
		return ok && t.Sel.Name == "Context" && importName(file, fnPath) == pkg.Name
	case *ast.Ident:
		return t.Name == "Context" && importName(file, fnPath) == "."
	}
	return false
}

// importName is the name under which file imports the package at path; "" where it does not.
func importName(file *ast.File, at string) string {
	for _, i := range file.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err != nil || p != at {
			continue
		}
		if i.Name != nil {
			return i.Name.Name
		}
		return path.Base(at)
	}
	return ""
}

func isError(t ast.Expr) bool {
	id, ok := t.(*ast.Ident)
	return ok && id.Name == "error"
}

func source(fset *token.FileSet, e ast.Expr) string {
	var b strings.Builder
	if err := printer.Fprint(&b, fset, e); err != nil {
		return "?" // an expression that was parsed can be printed
	}
	return b.String()
}
