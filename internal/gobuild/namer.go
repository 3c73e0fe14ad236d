package gobuild

import (
	"go/ast"
	"go/token"
	"strings"
)

// namer gives type expressions the coarse names of value.TypeName. It sees one package's source and nothing that the
// package imports, so a name of another package is any.
type namer struct {
	file    *ast.File // where the expressions stand
	types   map[string]*ast.TypeSpec
	encodes map[string]bool // types that may have an encoding of their own
}

func newNamer(file *ast.File, files []*ast.File) namer {
	n := namer{file: file, types: make(map[string]*ast.TypeSpec), encodes: make(map[string]bool)}
	for _, f := range files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil && strings.Contains(d.Name.Name, "arshal") {
					n.encodes[receiver(d)] = true
				}
			case *ast.GenDecl:
				if d.Tok != token.TYPE {
					continue
				}
				for _, s := range d.Specs {
					s := s.(*ast.TypeSpec)
					n.types[s.Name.Name] = s
				}
			}
		}
	}
	return n
}

// receiver is the name of the type that a method belongs to.
func receiver(f *ast.FuncDecl) string {
	t := f.Recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

var basic = map[string]string{
	"int": "int", "int8": "int", "int16": "int", "int32": "int", "int64": "int", "rune": "int",
	"uint": "int", "uint8": "int", "uint16": "int", "uint32": "int", "uint64": "int", "byte": "int",
	"float32": "float", "float64": "float", "bool": "bool", "string": "text",
}

func (n namer) name(t ast.Expr) string { return n.at(t, 0) }

// at is name; depth bounds types that are declared in a circle, which the compiler has yet to refuse.
func (n namer) at(t ast.Expr, depth int) string {
	if depth > 32 {
		return "any"
	}
	switch t := t.(type) {
	case *ast.ParenExpr:
		return n.at(t.X, depth+1)
	case *ast.Ident:
		spec, declared := n.types[t.Name]
		switch {
		case !declared:
			if name, ok := basic[t.Name]; ok {
				return name
			}
		case spec.TypeParams == nil && !n.encodes[t.Name]:
			if name := n.at(spec.Type, depth+1); name != "null" {
				return name
			}
			return "struct" // only the unnamed struct{} is null
		}
	case *ast.SelectorExpr:
		if pkg, ok := t.X.(*ast.Ident); ok && t.Sel.Name == "Ref" && pkg.Name == importName(n.file, valuePath) {
			return "ref"
		}
	case *ast.ArrayType:
		if id, ok := t.Elt.(*ast.Ident); ok && (id.Name == "byte" || id.Name == "uint8") && n.types[id.Name] == nil {
			return "bytes"
		}
		return "list"
	case *ast.MapType:
		return "map"
	case *ast.StructType:
		for _, f := range t.Fields.List {
			if len(f.Names) == 0 {
				return "any" // what is embedded may bring an encoding with it
			}
		}
		if len(t.Fields.List) == 0 {
			return "null"
		}
		return "struct"
	case *ast.StarExpr:
		switch name := n.at(t.X, depth+1); name {
		case "struct", "map", "list", "bytes":
			return name
		}
	}
	return "any"
}
