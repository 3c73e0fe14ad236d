package demo

import (
	"context"
	"errors"
	"go/build"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/squall-faas/squall/fault"
)

// module is what the source of this program calls itself.
const module = "github.com/squall-faas/squall"

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

// inputs finds what the demo reads: the Go source, and the pictures.
func inputs(ctx context.Context, cfg Config) (source string, files, images []file, err error) {
	root := ""
	if cfg.Dir == "" || cfg.Images == "" {
		if root = goroot(ctx); root == "" {
			return "", nil, nil, fault.New(fault.InvalidArgument, "no Go installation is to be found: put the go command on the PATH, or name a directory of Go source with --dir and one of JPEGs and PNGs with --images")
		}
	}
	if source = cfg.Dir; source == "" {
		source = root
	}
	if files, err = list(source, "--dir", cfg.Limit, func(name string) bool { return strings.HasSuffix(name, ".go") }); err != nil {
		return "", nil, nil, err
	}
	if cfg.Images != "" {
		images, err = list(cfg.Images, "--images", 0, isPicture)
		return source, files, images, err
	}
	tests := filepath.Join(root, "src", "image")
	if images, err = list(filepath.Join(tests, "testdata"), "--images", 0, isPicture); err != nil {
		return "", nil, nil, err
	}
	// Those are all in order, the ones that are called truncated too: such a JPEG is one of low quality. So the broken
	// PNGs come along, which Go tests its decoder with; two of them are cut short.
	broken, err := list(filepath.Join(tests, "png", "testdata"), "--images", 0, func(name string) bool {
		return isPicture(name) && strings.HasPrefix(name, "invalid-")
	})
	return source, files, append(images, broken...), err
}

func isPicture(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpeg", ".jpg", ".png":
		return true
	}
	return false
}

// list gives the regular files under root that match says yes to, by name, at most limit of them; 0 is all. flag is
// what names another root. Directories that cannot be read are an error: a count that left something out would be wrong. Links among the
// root's own entries are followed, because some installations have src as one.
func list(root, flag string, limit int, match func(name string) bool) ([]file, error) {
	entries, err := os.ReadDir(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.InvalidArgument, "there is no directory %s, which some Go installations leave out: name another with %s", root, flag)
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
			if !d.Type().IsRegular() || !match(name) {
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
		return nil, fault.New(fault.InvalidArgument, "there is nothing under %s that the demo could read: name another directory with %s", root, flag)
	}
	if limit > 0 && len(files) > limit {
		files = files[:limit]
	}
	return files, nil
}

// sourceDir finds a package of this module's source, which registering it as WebAssembly builds.
func sourceDir(pkg string) (string, error) {
	roots := []string{above()}
	if _, here, _, ok := runtime.Caller(0); ok {
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
		if mod, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil {
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
