package squall_test

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/squall-faas/squall"

// suites are conformance suites and other help for tests: only tests import them.
var suites = []string{"kvs/kvstest", "internal/bus/bustest", "executor/runtime/runtimetest", "internal/golden"}

// ground is below every row: the errors of all packages. It imports nothing of the module.
const ground = "fault"

// natsAdapters are the packages that may import NATS. Of the benchmarks the bare baselines may: the files named.
var (
	natsAdapters  = []string{"internal/natsconn", "internal/bus/natsbus", "kvs/jetkv"}
	bareBaselines = []string{"internal/bench/bare.go", "internal/bench/bare_puts.go", "internal/bench/compose_calls.go", "internal/load/jetstream.go"}
)

// pkg is what go list says of a package.
type pkg struct {
	ImportPath                         string
	Dir                                string
	GoFiles                            []string
	Imports, TestImports, XTestImports []string
}

// name is the path inside the module; "." for its root, "" for a package of others.
func name(importPath string) string {
	if importPath == module {
		return "."
	}
	if rest, ok := strings.CutPrefix(importPath, module+"/"); ok {
		return rest
	}
	return ""
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Dir,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// floors reads the table of ARCHITECTURE.md: the row of each package, or pattern of packages.
func floors(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "## Floors\n")
	if !ok {
		t.Fatal("ARCHITECTURE.md has no section Floors")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	rows := map[string]int{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| (.*) \|$`).FindAllStringSubmatch(section, -1) {
		number, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[2], -1) {
			if _, twice := rows[p[1]]; twice {
				t.Errorf("%s stands on two rows", p[1])
			}
			rows[p[1]] = number
		}
	}
	if len(rows) < 20 {
		t.Fatalf("the table has %d packages", len(rows))
	}
	return rows
}

// floor finds a package's row, and the entry of the table that it belongs to: its own, or that of a folder above.
func floor(rows map[string]int, p string) (row int, entry string, ok bool) {
	for dir := p; ; dir = path.Dir(dir) {
		if row, ok := rows[dir]; ok && (dir != "." || p == ".") {
			return row, dir, true
		}
		if dir == "." {
			break
		}
	}
	for pattern, row := range rows {
		prefix, many := strings.CutSuffix(pattern, "/*")
		if many && strings.HasPrefix(p, prefix+"/") {
			rest := strings.TrimPrefix(p, prefix+"/")
			first, _, _ := strings.Cut(rest, "/")
			return row, prefix + "/" + first, true
		}
	}
	return 0, "", false
}

// TestFloors holds the table of ARCHITECTURE.md against the real imports: a package imports only rows with a lower
// number, and packages on one row never import each other; everybody may import the ground. A package below another's
// folder belongs to it.
func TestFloors(t *testing.T) {
	rows := floors(t)
	used := map[string]bool{}
	for _, p := range packages(t) {
		from := name(p.ImportPath)
		if slices.Contains(suites, from) {
			continue
		}
		row, entry, ok := floor(rows, from)
		if !ok {
			t.Errorf("%s stands on no row: give it one in ARCHITECTURE.md", from)
			continue
		}
		used[entry] = true
		for _, i := range p.Imports {
			to := name(i)
			switch {
			case to == "":
				continue
			case from == ground:
				t.Errorf("%s imports %s: it has to stand on nothing", from, to)
			case to == ground:
				continue
			}
			if slices.Contains(suites, to) {
				t.Errorf("%s imports the suite %s outside its tests", from, to)
				continue
			}
			below, other, ok := floor(rows, to)
			if ok && other != entry && below >= row {
				t.Errorf("%s (row %d) imports %s (row %d)", from, row, to, below)
			}
		}
	}
	for entry := range rows {
		if !used[entry] && !strings.HasSuffix(entry, "/*") {
			t.Errorf("ARCHITECTURE.md gives %s a row, but there is no such package", entry)
		}
	}
}

// TestOnlyAdaptersImportNATS keeps messaging and storage exchangeable.
func TestOnlyAdaptersImportNATS(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		from := name(p.ImportPath)
		nats := slices.ContainsFunc(p.Imports, func(i string) bool { return strings.HasPrefix(i, "github.com/nats-io/") })
		switch {
		case !nats:
		case slices.Contains(natsAdapters, from):
			seen++
		case slices.ContainsFunc(bareBaselines, func(f string) bool { return path.Dir(f) == from }):
			for _, f := range p.GoFiles {
				file, err := parser.ParseFile(token.NewFileSet(), path.Join(p.Dir, f), nil, parser.ImportsOnly)
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range file.Imports {
					if strings.HasPrefix(i.Path.Value, `"github.com/nats-io/`) && !slices.Contains(bareBaselines, path.Join(from, f)) {
						t.Errorf("%s/%s imports NATS: only the bare baselines may", from, f)
					}
				}
			}
		default:
			t.Errorf("%s imports NATS: only %s may", from, strings.Join(natsAdapters, ", "))
		}
	}
	if seen != len(natsAdapters) {
		t.Errorf("%d of the %d adapters import NATS", seen, len(natsAdapters))
	}
}
