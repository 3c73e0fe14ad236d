package gobuild_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/gobuild"
)

// magic begins every WebAssembly module.
const magic = "\x00asm\x01\x00\x00\x00"

// writePackage writes a package into a module of its own that depends on this one, as a user's does, and gives the
// package's directory.
func writePackage(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	_, requirements, _ := strings.Cut(string(mod), "\n")
	dir := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/app\n"+requirements+
		"\nrequire github.com/squall-faas/squall v0.0.0\n\nreplace github.com/squall-faas/squall => "+root+"\n")
	write("go.sum", string(sum))
	for name, content := range files {
		write(filepath.Join("internal/f", name), content)
	}
	return filepath.Join(dir, "internal/f")
}

func TestBuild(t *testing.T) {
	for _, tc := range []struct{ name, dir, symbol string }{
		{"library", "testdata/count", "Count"},
		{"internal", "testdata/count/internal/deep", "Deep"},
		{"main", "testdata/program", "serve"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			wasm, sig, err := gobuild.Build(t.Context(), tc.dir, tc.symbol, gobuild.Options{})
			if err != nil {
				t.Fatal(detail(err))
			}
			if !bytes.HasPrefix(wasm, []byte(magic)) || !bytes.Contains(wasm, []byte("squall_invoke")) {
				t.Errorf("gave %d bytes that are no module of the ABI", len(wasm))
			}
			if sig.Func != tc.symbol {
				t.Errorf("signature is %+v", sig)
			}
			again, _, err := gobuild.Build(t.Context(), tc.dir, tc.symbol, gobuild.Options{Env: []string{"GOFLAGS=-race"}})
			if err != nil {
				t.Fatal(detail(err))
			}
			if !bytes.Equal(wasm, again) {
				t.Error("the same source gave other bytes")
			}
		})
	}
}

// TestSameBytesElsewhere: where a module lies makes no difference to its bytes.
func TestSameBytesElsewhere(t *testing.T) {
	var built [2][]byte
	for i := range built {
		dir := writePackage(t, map[string]string{
			"f.go":               "package f\n\nimport \"github.com/squall-faas/squall/fn\"\n\nfunc F(_ fn.Context, s string) (string, error) { return s, nil }\n",
			"squall_serve/x.txt": "a name that is taken",
		})
		var err error
		if built[i], _, err = gobuild.Build(t.Context(), dir, "F", gobuild.Options{}); err != nil {
			t.Fatal(detail(err))
		}
	}
	if !bytes.Equal(built[0], built[1]) {
		t.Errorf("the same source gave two modules, of %d and %d bytes", len(built[0]), len(built[1]))
	}
}

func TestNothingIsWritten(t *testing.T) {
	dir := writePackage(t, map[string]string{"f.go": "package made\n\nimport \"github.com/squall-faas/squall/fn\"\n\nfunc F(fn.Context) (int, error) { return 1, nil }\n"})
	if _, _, err := gobuild.Build(t.Context(), dir, "F", gobuild.Options{}); err != nil {
		t.Fatal(detail(err))
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the package's directory holds %v, %v", entries, err)
	}
}

func TestBuildRefuses(t *testing.T) {
	plain := writePackage(t, map[string]string{"f.go": `package made

import sq "github.com/squall-faas/squall/fn"

type T struct{}

func (T) Method(sq.Context) (int, error)            { return 0, nil }
func Good(sq.Context, int) (int, error)             { return 0, nil }
func NoContext(int) (int, error)                    { return 0, nil }
func NoError(sq.Context, int) int                   { return 0 }
func TooMany(sq.Context, int, int, int, int) (int, error) { return 0, nil }
func Twice(sq.Context) (int, int, error)            { return 0, 0, nil }
func Some(sq.Context, ...int) (int, error)          { return 0, nil }
func Any[T any](sq.Context, T) (int, error)         { return 0, nil }
func Nothing(sq.Context) error                      { return nil }
func hidden(sq.Context) (int, error)                { return 0, nil }
`})
	broken := writePackage(t, map[string]string{"f.go": "package made\n\nimport \"github.com/squall-faas/squall/fn\"\n\nfunc F(fn.Context) (int, error) { return undefined, nil }\n"})
	syntax := writePackage(t, map[string]string{"f.go": "package made\n\nfunc {\n"})
	empty := writePackage(t, map[string]string{"notes.txt": "nothing here"})
	other := writePackage(t, map[string]string{"f_windows.go": "package made\n"})
	channel := writePackage(t, map[string]string{"f.go": "package made\n\nimport \"github.com/squall-faas/squall/fn\"\n\nfunc F(fn.Context) (Missing, error) { panic(0) }\n"})
	for _, tc := range []struct{ name, dir, symbol, says string }{
		{"missingDir", "testdata/nowhere", "F", "there is no directory"},
		{"file", "testdata/count/count.go", "Count", "is a file"},
		{"noPackage", empty, "F", "no Go files"},
		{"otherPlatform", other, "F", "build constraints"},
		{"syntax", syntax, "F", "expected"},
		{"noSymbol", plain, "Goood", "it has Any, Good, NoContext"},
		{"method", plain, "Method", "has no func"},
		{"hidden", plain, "hidden", "is not exported"},
		{"noContext", plain, "NoContext", "does not take a fn.Context first"},
		{"noError", plain, "NoError", "does not return an error last"},
		{"tooMany", plain, "TooMany", "takes 4 arguments"},
		{"twice", plain, "Twice", "returns 2 results"},
		{"variadic", plain, "Some", "variable number"},
		{"generic", plain, "Any", "type parameters"},
		{"effectOfNothing", plain, "Nothing", "expected func(fn.Context, A)"},
		{"emptySymbol", plain, "", "is no main package"},
		{"compile", broken, "F", "undefined: undefined"},
		{"missingType", channel, "F", "undefined: Missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := gobuild.Build(t.Context(), tc.dir, tc.symbol, gobuild.Options{})
			if !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("gave %v; want invalid_argument with %q", err, tc.says)
			}
		})
	}
}

func TestNoGoCommand(t *testing.T) {
	_, _, err := gobuild.Build(t.Context(), "testdata/count", "Count", gobuild.Options{Go: filepath.Join(t.TempDir(), "go")})
	if !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), "there is no go command") {
		t.Errorf("gave %v", err)
	}
}

func TestOutsideOfAModule(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f.go"), []byte("package f\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := gobuild.Build(t.Context(), dir, "F", gobuild.Options{Env: []string{"GOWORK=off"}})
	if !fault.Is(err, fault.InvalidArgument) || !strings.Contains(err.Error(), "go mod init") {
		t.Errorf("gave %v", err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := gobuild.Build(ctx, "testdata/count", "Count", gobuild.Options{})
	if !fault.Is(err, fault.Cancelled) {
		t.Errorf("gave %v, want cancelled", err)
	}
}

// detail is err with everything that it carries.
func detail(err error) error {
	var e *fault.Error
	if errors.As(err, &e) && e.Detail != "" {
		return errors.New(e.Error() + "\n" + e.Detail)
	}
	return err
}

func TestSignature(t *testing.T) {
	dir := writePackage(t, map[string]string{"f.go": `package f

import (
	"time"

	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

type (
	Count  int
	Point  struct{ X, Y float64 }
	Table  map[string][]Point
	Alias  = Point
	Custom struct{ n int }
	Holder struct{ Custom }
	List[T any] []T
	Loop   Loop2
	Loop2  Loop
	Empty  struct{}
)

func (Custom) MarshalJSON() ([]byte, error) { return nil, nil }

func F(c fn.Context, a, b int, s string) (Table, error)                    { return nil, nil }
func G(c fn.Context, p *Point, n *int, x any) ([]byte, error)              { return nil, nil }
func H(c fn.Context, d time.Duration, h Custom, i Holder) (Count, error)   { return 0, nil }
func I(c fn.Context, a Alias, l []string, f [2]float32) error              { return nil }
func J(c fn.Context, v value.Value, r value.Ref, l List[int]) (bool, error) { return true, nil }
func K(c fn.Context, e struct{}) error                                     { return nil }
`, "g.go": "package f\n\nimport \"github.com/squall-faas/squall/fn\"\n\nfunc L(fn.Context, Count) (Alias, error) { return Alias{}, nil }\n\nfunc M(fn.Context, Empty) (Loop, error) { panic(0) }\n"})
	for symbol, want := range map[string]string{
		"F": "int int text → map",
		"G": "struct any any → bytes",
		"H": "any any any → int",
		"J": "any ref any → bool",
		"K": "null → null",
		"L": "int → struct",
		"M": "struct → any",
	} {
		sig, err := gobuild.Inspect(t.Context(), dir, symbol, gobuild.Options{})
		if err != nil {
			t.Fatal(detail(err))
		}
		if got := strings.Join(sig.In, " ") + " → " + sig.Out; got != want {
			t.Errorf("%s is %s, want %s", symbol, got, want)
		}
	}
	if _, err := gobuild.Inspect(t.Context(), dir, "I", gobuild.Options{}); err == nil {
		t.Error("an effect of three arguments was accepted")
	}
}
