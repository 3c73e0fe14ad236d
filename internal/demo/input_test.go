package demo

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/squall-faas/squall/fault"
)

// TestList follows links at the top only, and takes regular files only.
func TestList(t *testing.T) {
	elsewhere, root := t.TempDir(), t.TempDir()
	for _, name := range []string{"src/a.go", "src/sub/b.go", "src/sub/c.txt", "z.go"} {
		path := filepath.Join(elsewhere, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("package p"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"src": filepath.Join(elsewhere, "src"), "lost": filepath.Join(elsewhere, "gone")} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "not_a_file.go"), 0o755); err != nil {
		t.Fatal(err)
	}
	isGo := func(name string) bool { return filepath.Ext(name) == ".go" }
	for _, c := range []struct {
		root  string
		limit int
		want  []string
	}{
		{elsewhere, 0, []string{"src/a.go", "src/sub/b.go", "z.go"}},
		{elsewhere, 2, []string{"src/a.go", "src/sub/b.go"}},
		{root, 0, []string{"src/a.go", "src/sub/b.go"}},
	} {
		files, err := list(c.root, "--dir", c.limit, isGo)
		var got []string
		for _, f := range files {
			got = append(got, f.name)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("at most %d of %s: %v, %v; want %v", c.limit, c.root, got, err, c.want)
		}
	}
}

func TestSourceDir(t *testing.T) {
	dir, err := sourceDir("internal/demo/words")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "words.go")); err != nil {
		t.Error(err)
	}
	if _, err := sourceDir("internal/demo/nothing"); !fault.Is(err, fault.InvalidArgument) {
		t.Errorf("a package that is not there: %v", err)
	}
}
