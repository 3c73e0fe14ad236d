package demo

import (
	"context"
	"errors"
	"go/build"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/squall-faas/squall/fault"
)

// file is one file of the input.
type file struct {
	name string // below the root, with slashes
	path string
	size int64
}

// goroot is the directory of the Go installation: what the go command says, or else where this program's compiler was.
// "" where neither is known.
func goroot(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output(); err == nil {
		if dir := strings.TrimSpace(string(out)); dir != "" {
			return dir
		}
	}
	return build.Default.GOROOT
}

// inputs finds the two directories that the demo reads.
func inputs(ctx context.Context, cfg Config) (source, images string, err error) {
	source, images = cfg.Dir, cfg.Images
	if source != "" && images != "" {
		return source, images, nil
	}
	root := goroot(ctx)
	if root == "" {
		return "", "", fault.New(fault.InvalidArgument, "no Go installation is to be found: put the go command on the PATH, or name a directory of Go source with --dir and one of JPEGs and PNGs with --images")
	}
	if source == "" {
		source = root
	}
	if images == "" {
		images = filepath.Join(root, "src", "image", "testdata")
	}
	return source, images, nil
}

// list gives the regular files under root whose names end in one of the suffixes, by name, at most limit of them; 0 is
// all. Directories that cannot be read are an error: a count that left something out would be wrong. Links among the
// root's own entries are followed, because some installations have src as one.
func list(root string, limit int, suffixes ...string) ([]file, error) {
	entries, err := os.ReadDir(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.InvalidArgument, "there is no directory %s: name another with --dir (Go source) or --images (pictures)", root)
	case err != nil:
		return nil, fault.New(fault.InvalidArgument, "read the input: %w", err)
	}
	var files []file
	for _, e := range entries {
		base := filepath.Join(root, e.Name())
		top, err := filepath.EvalSymlinks(base)
		if err != nil {
			continue // a link that leads nowhere
		}
		err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			inside, err := filepath.Rel(top, path)
			if err != nil {
				return err
			}
			name := filepath.ToSlash(filepath.Join(e.Name(), inside))
			matches := slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
			if !matches || !d.Type().IsRegular() {
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			files = append(files, file{name, path, info.Size()})
			return nil
		})
		if err != nil {
			return nil, fault.New(fault.InvalidArgument, "read the input: %w", err)
		}
	}
	if len(files) == 0 {
		return nil, fault.New(fault.InvalidArgument, "no file under %s ends in %s: name another directory with --dir (Go source) or --images (pictures)", root, strings.Join(suffixes, ", "))
	}
	if limit > 0 && len(files) > limit {
		files = files[:limit]
	}
	return files, nil
}

// sourceDir finds a package of this module's source, which registering it as WebAssembly builds.
func sourceDir(pkg string) (string, error) {
	roots := []string{above()}
	if _, here, _, ok := callerFile(); ok {
		roots = append(roots, filepath.Dir(filepath.Dir(filepath.Dir(here))))
	}
	for _, root := range roots {
		dir := filepath.Join(root, filepath.FromSlash(pkg))
		if info, err := os.Stat(dir); root != "" && err == nil && info.IsDir() {
			return dir, nil
		}
	}
	return "", fault.New(fault.InvalidArgument, "the source of %s is not here, and the demo builds it for WebAssembly: run the demo inside a checkout of %s", pkg, module)
}

// above is the root of this module if the working directory is inside it, else "".
func above() string {
	dir, err := os.Getwd()
	for err == nil {
		mod, readErr := os.ReadFile(filepath.Join(dir, "go.mod"))
		if readErr == nil && slices.Contains(strings.Fields(string(mod)), module) {
			if line, _, _ := strings.Cut(string(mod), "\n"); strings.TrimSpace(line) == "module "+module {
				return dir
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
	return ""
}
