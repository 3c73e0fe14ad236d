package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sync"

	"github.com/squall-faas/squall/fault"
)

// formatVersion of the files: their first line says it.
const formatVersion = 1

// maxLine bounds one record of a file.
const maxLine = 1 << 20

// line is one line of a file: exactly one of its fields.
type line struct {
	Version int    `json:"squall_history,omitempty"`
	Op      *Op    `json:"o,omitempty"`
	End     *End   `json:"end,omitempty"`
	Final   *Final `json:"final,omitempty"`
	Fault   *Fault `json:"fault,omitempty"`
}

// Writer records a history as JSON lines. Safe for concurrent use. Once a write has failed all later calls return its
// error.
type Writer struct {
	mu  sync.Mutex // guards what follows
	buf *bufio.Writer
	err error
}

// NewWriter records to w. Flush when done.
func NewWriter(w io.Writer) *Writer {
	r := &Writer{buf: bufio.NewWriterSize(w, 1<<16)}
	r.err = r.add(line{Version: formatVersion})
	return r
}

// Op records an operation, once it has returned or will not any more.
func (w *Writer) Op(o Op) error { return w.add(line{Op: &o}) }

// End records the end of a run.
func (w *Writer) End(e End) error { return w.add(line{End: &e}) }

// Final records what a key holds at the end.
func (w *Writer) Final(f Final) error { return w.add(line{Final: &f}) }

// Fault records an injected fault.
func (w *Writer) Fault(f Fault) error { return w.add(line{Fault: &f}) }

// Flush writes out what is buffered.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.fail(w.buf.Flush())
	}
	return w.err
}

func (w *Writer) add(l line) error {
	b, err := json.Marshal(l) // outside the lock: it is what takes time
	if err != nil {
		return fault.New(fault.InvalidArgument, "record an operation: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		_, err := w.buf.Write(append(b, '\n'))
		w.fail(err)
	}
	return w.err
}

func (w *Writer) fail(err error) {
	if err != nil {
		w.err = fault.New(fault.Unavailable, "write the history: %w", err)
	}
}

// Reader puts a history together from the files that its parts were recorded in, for instance one a process. Operation
// ids are unique across all of them. The zero Reader is ready. Not safe for concurrent use.
type Reader struct{ h History }

// Read adds a file; name is for messages. What is no history is refused as invalid_argument, naming the line; a version
// of a later release as unsupported.
func (r *Reader) Read(name string, src io.Reader) error {
	lines := bufio.NewScanner(src)
	lines.Buffer(make([]byte, 0, 1<<16), maxLine)
	at := place{file: name}
	known := false // the version
	for lines.Scan() {
		at.line++
		b := bytes.TrimSpace(lines.Bytes())
		if len(b) == 0 {
			continue
		}
		l, err := parse(b, at)
		if err != nil {
			return err
		}
		if !known && l.Version == 0 {
			return refuse(at, `this is no history: its first line has to be {"squall_history":%d}`, formatVersion)
		}
		known = true
		if err := r.take(l, at); err != nil {
			return err
		}
	}
	at.line++
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return refuse(at, "the line is longer than %d bytes", maxLine)
	case err != nil:
		return fault.New(fault.InvalidArgument, "read %s: %w", name, err)
	case !known:
		return refuse(at, `the file is empty: its first line has to be {"squall_history":%d}`, formatVersion)
	}
	return nil
}

// History is what was read so far.
func (r *Reader) History() *History { return &r.h }

func parse(b []byte, at place) (l line, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return l, refuse(at, "this is no record of a history: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return l, refuse(at, "there is something behind the record: put one on a line")
	}
	n := 0
	for _, has := range []bool{l.Version != 0, l.Op != nil, l.End != nil, l.Final != nil, l.Fault != nil} {
		if has {
			n++
		}
	}
	if n != 1 {
		return l, refuse(at, "the line has %d records: give it one of squall_history, o, end, final and fault", n)
	}
	return l, nil
}

func (r *Reader) take(l line, at place) error {
	switch {
	case l.Op != nil:
		l.Op.at = at
		r.h.Ops = append(r.h.Ops, *l.Op)
		return l.Op.check()
	case l.End != nil:
		l.End.at = at
		r.h.Ends = append(r.h.Ends, *l.End)
		return l.End.check()
	case l.Final != nil:
		l.Final.at = at
		r.h.Finals = append(r.h.Finals, *l.Final)
		return l.Final.check()
	case l.Fault != nil && l.Fault.Kind == "":
		return refuse(at, "a fault has to name its kind")
	case l.Fault != nil && l.Fault.N < 0:
		return refuse(at, "%d faults: give a positive number, or none for one", l.Fault.N)
	case l.Fault != nil:
		r.h.Faults = append(r.h.Faults, *l.Fault)
	case l.Version != formatVersion:
		return fault.New(fault.Unsupported, "%sversion %d of the history is not known here: check it with the release of squall that recorded it", at, l.Version)
	}
	return nil
}
