package gobuild

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/squall-faas/squall/fault"
)

// Options of Build. The zero Options will do.
type Options struct {
	// Go is the go command; the one on the PATH, or else that of the Go installation which built this program, if
	// empty.
	Go string
	// Tags are build tags.
	Tags []string
	// Env is added to the environment of the go command, as "name=value".
	Env []string
}

// Build builds the func symbol of the package in dir, relative to the working directory, for wasip1/wasm. It gives
// the module and what the func takes and returns. An empty symbol builds a main package as it stands, which calls
// fn.Serve itself; the Signature is then empty.
//
// invalid_argument says what is wrong and what to do: dir is no package, it has no such func, the func is none that
// Squall can call, there is no go command, or the package does not compile (the compiler's words are in the Detail).
// The end of ctx kills the go command. A first build takes tens of seconds, a repeated one about a second.
func Build(ctx context.Context, dir, symbol string, o Options) ([]byte, Signature, error) {
	b, pkg, sig, err := inspect(ctx, dir, symbol, o)
	if err != nil {
		return nil, Signature{}, err
	}
	if symbol == "" {
		wasm, err := b.compile(ctx, "", nil, ".")
		return wasm, sig, err
	}
	target, file := mainPlace(pkg)
	wasm, err := b.compile(ctx, file, mainSource(pkg, sig), target)
	return wasm, sig, err
}

// Inspect is Build without the building: it says what the func takes and returns, or why Squall cannot call it.
func Inspect(ctx context.Context, dir, symbol string, o Options) (Signature, error) {
	_, _, sig, err := inspect(ctx, dir, symbol, o)
	return sig, err
}

func inspect(ctx context.Context, dir, symbol string, o Options) (*builder, *listed, Signature, error) {
	tool, err := findGo(o.Go)
	if err != nil {
		return nil, nil, Signature{}, err
	}
	b := &builder{tool: tool, dir: dir, options: o}
	if err := b.checkDir(); err != nil {
		return nil, nil, Signature{}, err
	}
	pkg, err := b.list(ctx)
	if err != nil {
		return nil, nil, Signature{}, err
	}
	if symbol == "" {
		if pkg.Name != "main" {
			return nil, nil, Signature{}, fault.New(fault.InvalidArgument, "%s is no main package: name the func of it that is to be called", pkg.ImportPath)
		}
		return b, pkg, Signature{}, nil
	}
	sig, err := find(pkg, symbol)
	return b, pkg, sig, err
}

type builder struct {
	tool    string
	dir     string
	options Options
}

func findGo(tool string) (string, error) {
	if tool != "" {
		path, err := exec.LookPath(tool)
		if err != nil {
			return "", fault.New(fault.InvalidArgument, "there is no go command at %q: %w", tool, err)
		}
		return path, nil
	}
	if path, err := exec.LookPath("go"); err == nil {
		return path, nil
	}
	// runtime.GOROOT is where this program was built: no promise, but a fair guess on a developer's machine.
	if path, err := exec.LookPath(filepath.Join(runtime.GOROOT(), "bin", "go")); err == nil { //nolint:staticcheck
		return path, nil
	}
	return "", fault.New(fault.InvalidArgument, "there is no go command on the PATH: install Go from https://go.dev/dl, or build the module elsewhere and register its bytes")
}

func (b *builder) checkDir() error {
	abs, err := filepath.Abs(b.dir)
	if err != nil {
		return fault.New(fault.InvalidArgument, "find the directory %q: %w", b.dir, err)
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fault.New(fault.InvalidArgument, "there is no directory %q: give the path of a Go package, relative to where the program runs (%s)", b.dir, workingDir())
	case err != nil:
		return fault.New(fault.InvalidArgument, "look at the directory %q: %w", b.dir, err)
	case !info.IsDir():
		return fault.New(fault.InvalidArgument, "%q is a file: give the directory of the package that it is in", b.dir)
	}
	b.dir = abs
	return nil
}

func workingDir() string {
	wd, err := os.Getwd()
	if err != nil {
		return "unknown"
	}
	return wd
}

// listed is what the go command knows about a package.
type listed struct {
	Dir        string
	ImportPath string
	Name       string
	GoFiles    []string
	Error      *struct{ Err string }
	Module     *struct{ Path string }
}

// list asks the go command about the package as wasip1/wasm sees it.
func (b *builder) list(ctx context.Context) (*listed, error) {
	args := append([]string{"list", "-e", "-json=Dir,ImportPath,Name,GoFiles,Error,Module"}, b.flags()...)
	out, err := b.run(ctx, append(args, ".")...)
	if err != nil {
		if strings.Contains(err.Error(), "go.mod file not found") {
			return nil, errNoModule(b.dir)
		}
		return nil, err
	}
	var pkg listed
	if err := json.Unmarshal(out, &pkg); err != nil {
		return nil, fault.New(fault.Internal, "read what go list says of %q: %w", b.dir, err)
	}
	switch {
	case pkg.Error != nil && len(pkg.GoFiles) == 0:
		return nil, fault.New(fault.InvalidArgument, "%q is not a Go package that can be built for wasip1/wasm: %s", b.dir, strings.TrimSpace(pkg.Error.Err))
	case len(pkg.GoFiles) == 0:
		return nil, fault.New(fault.InvalidArgument, "%q has no Go files for wasip1/wasm: look at the build constraints of its files", b.dir)
	case pkg.Module == nil:
		return nil, errNoModule(b.dir)
	}
	return &pkg, nil
}

func errNoModule(dir string) error {
	return fault.New(fault.InvalidArgument, "%q is in no Go module: run 'go mod init' and 'go get %s' there", dir, squallPath)
}

// compile builds the package target, in which the file at the path added, if one is given, has content.
func (b *builder) compile(ctx context.Context, added string, content []byte, target string) ([]byte, error) {
	tmp, err := os.MkdirTemp("", "squall-build-*")
	if err != nil {
		return nil, fault.New(fault.Internal, "make a directory to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	source, overlay, out := filepath.Join(tmp, "main.go"), filepath.Join(tmp, "overlay.json"), filepath.Join(tmp, "function.wasm")
	replaced := map[string]string{}
	if added != "" {
		replaced[added] = source
	}
	replace, err := json.Marshal(map[string]any{"Replace": replaced})
	if err == nil {
		err = os.WriteFile(overlay, replace, 0o600)
	}
	if err == nil {
		err = os.WriteFile(source, content, 0o600)
	}
	if err != nil {
		return nil, fault.New(fault.Internal, "write the generated main: %w", err)
	}
	args := []string{
		"build", "-overlay=" + overlay, "-o", out, "-buildmode=c-shared", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid=",
	}
	args = append(args, b.flags()...)
	if _, err := b.run(ctx, append(args, target)...); err != nil {
		return nil, err
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		return nil, fault.New(fault.Internal, "read the built module: %w", err)
	}
	return wasm, nil
}

// flags are those of list and build alike. A GOFLAGS that is made for tests, with -race, is not for wasm.
func (b *builder) flags() []string {
	flags := []string{"-race=false", "-msan=false", "-asan=false", "-cover=false"}
	if len(b.options.Tags) > 0 {
		flags = append(flags, "-tags="+strings.Join(b.options.Tags, ","))
	}
	return flags
}

// run runs the go command in the package's directory.
func (b *builder) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, b.tool, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), b.options.Env...)
	cmd.Env = append(cmd.Env, "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "PWD="+b.dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	cmd.WaitDelay = 2 * time.Second // a compiler that outlives the go command holds its pipes
	out, err := cmd.Output()
	switch {
	case err == nil:
		return out, nil
	case ctx.Err() != nil:
		return nil, fault.New(fault.CodeOf(context.Cause(ctx)), "building %s was ended: %w", b.dir, context.Cause(ctx))
	}
	words := compilerWords(stderr.String())
	if words == "" {
		return nil, fault.New(fault.InvalidArgument, "run go %s in %s: %w", args[0], b.dir, err)
	}
	first, _, _ := strings.Cut(words, "\n")
	e := fault.New(fault.InvalidArgument, "the package in %s does not build for wasip1/wasm: %s", b.dir, first)
	return nil, e.With(func(e *fault.Error) { e.Detail = words })
}

// maxWords bounds what is passed on of the compiler's words.
const maxWords = 4 << 10

// compilerWords drops the headings of the go command and cuts what is left.
func compilerWords(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimRight(line, "\r\n"); line != "" && !strings.HasPrefix(line, "# ") {
			lines = append(lines, line)
		}
	}
	out := strings.Join(lines, "\n")
	if len(out) > maxWords {
		out = strings.ToValidUTF8(out[:maxWords], "") + "\n… (cut)"
	}
	return out
}
