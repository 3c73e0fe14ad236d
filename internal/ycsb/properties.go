package ycsb

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/squall-faas/squall/fault"
)

// maxFile bounds a property file, in bytes: what is larger is something else.
const maxFile = 1 << 20

// Properties are names with their values, and where each was said. A later one replaces an earlier one. The zero
// Properties is empty. Not safe for concurrent use.
type Properties struct {
	said map[string]saying
}

type saying struct {
	value string
	where string // workloada:12, or -p
}

// Set sets one property; where names its place in errors.
func (p *Properties) Set(name, value, where string) {
	if p.said == nil {
		p.said = map[string]saying{}
	}
	p.said[name] = saying{value, where}
}

// Override takes a key=value of the command line.
func (p *Properties) Override(assignment string) error {
	name, value, ok := strings.Cut(assignment, "=")
	name = strings.TrimSpace(name)
	if !ok || name == "" {
		return fault.New(fault.InvalidArgument, "-p %.80q is no property: write -p name=value, such as -p recordcount=1000", assignment)
	}
	p.Set(name, strings.TrimSpace(value), "-p")
	return nil
}

// All are the properties by name.
func (p *Properties) All() map[string]string {
	out := make(map[string]string, len(p.said))
	for name, s := range p.said {
		out[name] = s.value
	}
	return out
}

// Names are sorted.
func (p *Properties) Names() []string { return slices.Sorted(maps.Keys(p.said)) }

// ReadFile adds the properties of a file; not_found where there is none.
func (p *Properties) ReadFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fault.New(fault.NotFound, "workload file: %w: name one that exists, such as examples/ycsb/workloads/workloada", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	return p.Read(f, filepath.Base(path))
}

// Read adds properties in the format of java.util.Properties: a line each, name and value separated by =, : or spaces; #
// and ! begin comments; a backslash at the end continues a line; \t, \n, \r, \f and \uXXXX are what they are in Java, and
// before anything else a backslash only takes its meaning away. name is the source's in errors.
func (p *Properties) Read(r io.Reader, name string) error {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return fault.New(fault.InvalidArgument, "read %s: %w", name, err)
	case len(text) > maxFile:
		return fault.New(fault.InvalidArgument, "%s is no property file: it has more than %d bytes", name, maxFile)
	}
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(string(text), "\ufeff")), "\n")
	for i := 0; i < len(lines); i++ {
		where := fmt.Sprintf("%s:%d", name, i+1)
		line := trimLeft(lines[i])
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		for continued(line) {
			line = line[:len(line)-1]
			if i+1 == len(lines) {
				break
			}
			i++
			line += trimLeft(lines[i])
		}
		key, value := cut(line)
		if key, err = unescape(key); err == nil {
			value, err = unescape(value)
		}
		switch {
		case err != nil:
			return fault.New(fault.InvalidArgument, "%s: %w", where, err)
		case key == "":
			return fault.New(fault.InvalidArgument, "%s: %.40q has no name before the value: write name=value", where, line)
		}
		p.Set(key, strings.TrimRight(value, " \t\f"), where)
	}
	return nil
}

func trimLeft(s string) string { return strings.TrimLeft(s, " \t\f") }

// continued reports whether a line ends in a backslash that is not itself escaped.
func continued(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// cut separates the name from the value: at the first =, : or space that no backslash stands before.
func cut(line string) (key, value string) {
	at := 0
	for at < len(line) && !strings.ContainsRune("=: \t\f", rune(line[at])) {
		if line[at] == '\\' {
			at++
		}
		at++
	}
	at = min(at, len(line))
	value = trimLeft(line[at:])
	if value != "" && (value[0] == '=' || value[0] == ':') {
		value = trimLeft(value[1:])
	}
	return line[:at], value
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 'f':
			b.WriteByte('\f')
		case 'u':
			if i+5 > len(s) {
				return "", fault.New(fault.InvalidArgument, `%.40q ends inside \u: four hexadecimal digits have to follow`, s)
			}
			r, err := strconv.ParseUint(s[i+1:i+5], 16, 16)
			if err != nil {
				return "", fault.New(fault.InvalidArgument, `\u%s is no character: four hexadecimal digits have to follow \u`, s[i+1:i+5])
			}
			b.WriteRune(rune(r))
			i += 4
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}
