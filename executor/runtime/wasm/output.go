package wasm

import (
	"bytes"
	"io"
	"strings"
)

const (
	// maxLogged bounds what one invocation may log, in bytes of text; the rest is dropped, and one line says so.
	maxLogged = 64 << 10
	// maxLine is where a line without an end is cut.
	maxLine = 4 << 10
	// maxCrash bounds the crash report that is kept from standard error.
	maxCrash = 8 << 10
)

// output takes what an instance writes and logs, and hands it line by line to its invocation's log.
type output struct {
	inst   *instance
	lines  [2]bytes.Buffer // standard output, standard error: the line under way
	logged int
	cut    bool
	crash  strings.Builder // from the line on which a language runtime begins to die
}

type stream struct {
	o *output
	i int
}

func (o *output) stdout() io.Writer { return stream{o, 0} }
func (o *output) stderr() io.Writer { return stream{o, 1} }

var streamNames = [...]string{"stdout", "stderr"}

// Write implements io.Writer; it never fails.
func (s stream) Write(p []byte) (int, error) {
	n := len(p)
	line := &s.o.lines[s.i]
	for len(p) > 0 {
		head, rest, whole := bytes.Cut(p, []byte{'\n'})
		line.Write(head[:min(len(head), maxLine-line.Len())])
		if whole {
			s.o.endLine(s.i)
		}
		p = rest
	}
	return n, nil
}

func (o *output) endLine(i int) {
	text := o.lines[i].String()
	o.lines[i].Reset()
	if i == 1 && (o.crash.Len() > 0 || strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ")) {
		if o.crash.Len() < maxCrash {
			o.crash.WriteString(text)
			o.crash.WriteByte('\n')
		}
		return // it travels with the error
	}
	o.log(text, []string{"stream", streamNames[i]})
}

// log hands one line on, within the bound.
func (o *output) log(msg string, pairs []string) {
	size := len(msg)
	for _, p := range pairs {
		size += len(p)
	}
	if o.logged += size; o.logged > maxLogged {
		if !o.cut {
			o.cut = true
			o.inst.inv.Log("the rest of this invocation's log is dropped", "limit_bytes", maxLogged)
		}
		return
	}
	args := make([]any, len(pairs))
	for i, p := range pairs {
		args[i] = p
	}
	o.inst.inv.Log(msg, args...)
}

// flush ends an invocation's output: lines that lack their end are logged as they are, and the bound starts anew.
func (o *output) flush() {
	for i := range o.lines {
		if o.lines[i].Len() > 0 {
			o.endLine(i)
		}
	}
	o.logged, o.cut = 0, false
	if o.crash.Len() > 0 {
		o.crash.Reset()
	}
}
