package squall_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shown is what the pages' Go blocks may use besides the packages: what a reader has in mind.
const shown = `
func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

func union(all [][]string) []string { return slices.Concat(all...) }

var (
	ctx  = context.Background()
	s    = must(squall.Open(ctx, squall.Config{}))
	refs []value.Ref
)
`

// imports are what the blocks of the pages import; those that a block leaves alone are taken out of its file.
var imports = []string{
	"context", "errors", "fmt", "io", "slices", module, module + "/client", module + "/dag", module + "/fault", module + "/fn",
	module + "/kvs", module + "/value",
}

// TestPagesCompile builds every Go block of the pages that users read, so that none shows an API that is not there.
func TestPagesCompile(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	root, dir := must(os.Getwd()), t.TempDir()
	replace, names := map[string]string{}, map[string]string{}
	for _, page := range append(pages, "README.md") {
		text := string(must(os.ReadFile(page)))
		for i, m := range regexp.MustCompile("(?ms)^```go\n(.*?)^```").FindAllStringSubmatchIndex(text, -1) {
			name := fmt.Sprintf("page_%s_%d", strings.TrimSuffix(filepath.Base(page), ".md"), i)
			file := filepath.Join(dir, name+".go")
			source, err := program(text[m[2]:m[3]])
			if err != nil {
				t.Errorf("%s:%d: %v", page, 1+strings.Count(text[:m[2]], "\n"), err)
				continue
			}
			if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			replace[filepath.Join(root, "internal", name, "page.go")] = file
			names["./internal/"+name] = fmt.Sprintf("%s:%d", page, 1+strings.Count(text[:m[2]], "\n"))
		}
	}
	if len(names) < 9 {
		t.Fatalf("only %d Go blocks were found", len(names))
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, must(json.Marshal(map[string]any{"Replace": replace})), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"build", "-overlay", overlay}
	for name := range names {
		args = append(args, name)
	}
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		told := string(out)
		for name, at := range names {
			told = strings.ReplaceAll(told, strings.TrimPrefix(name, "./"), at)
		}
		t.Fatalf("%v\n%s", err, told)
	}
}

// program makes a file of its own of a block: of declarations as they are, of statements the body of a function, which has
// a client, or in blocks about functions a fn.Context, as c.
func program(block string) (string, error) {
	body := shown + block
	if !parses(body) {
		c := "c *client.Client"
		if strings.Contains(block, "fn.") && !strings.Contains(block, "squall.Open") {
			c = "c fn.Context"
		}
		top, statements := "", block
		if strings.HasPrefix(block, "func ") { // declarations first, and statements after an empty line
			var ok bool
			if top, statements, ok = strings.Cut(block, "\n\n"); !ok {
				return "", fmt.Errorf("neither declarations nor statements")
			}
		}
		body = fmt.Sprintf("%s%s\nfunc _(%s) {\n_ = c\n{\n%s\n%s}\n}\n", shown, top, c, statements, uses(statements))
	}
	if !parses(body) {
		return "", fmt.Errorf("is not Go")
	}
	head, code := "package page\n", regexp.MustCompile(`//.*`).ReplaceAllString(body, "")
	for _, path := range imports {
		if used := regexp.MustCompile(`\b` + path[strings.LastIndex(path, "/")+1:] + `\.`); used.MatchString(code) {
			head += fmt.Sprintf("import %q\n", path)
		}
	}
	return head + body, nil
}

func parses(body string) bool {
	_, err := parser.ParseFile(token.NewFileSet(), "", "package page\n"+body, 0)
	return err == nil
}

// uses uses what statements define.
func uses(statements string) string {
	file, err := parser.ParseFile(token.NewFileSet(), "", "package page\nfunc _() {\n"+statements+"\n}", 0)
	if err != nil {
		return ""
	}
	var out strings.Builder
	for _, s := range file.Decls[0].(*ast.FuncDecl).Body.List {
		if a, ok := s.(*ast.AssignStmt); ok && a.Tok == token.DEFINE {
			for _, x := range a.Lhs {
				if id := x.(*ast.Ident); id.Name != "_" {
					fmt.Fprintf(&out, "_ = %s\n", id.Name)
				}
			}
		}
	}
	return out.String()
}

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}
