// Package ops holds the functions of squall bench ycsb: they carry out the operations of a call, or of a DAG's node, on the
// cache of the node that they run on. The same source runs natively and as WebAssembly.
//
// A call names records by their numbers. Keys and values are made here, as a function that works on its state makes them,
// and what is read is verified here: only outcomes travel back.
package ops

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/ycsb"
)

// Setup is what all calls of a run have in common.
type Setup struct {
	Workload string // as Describe gives it
	Check    bool   // verify what is read
	Reads    bool   // updates read first, as they have to at causal levels: a write replaces only what it has seen
	Ack      string // of writes; "" is the function's default
}

// shaping are the properties that keys and records follow from.
var shaping = []string{
	"table", "keyprefix", "insertorder", "zeropadding", "recordcount", "fieldcount", "fieldlength", "minfieldlength", "fieldlengthdistribution",
}

// Describe gives what a call has to say of a workload.
func Describe(w *ycsb.Workload) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(w.Properties)) {
		if slices.Contains(shaping, name) {
			parts = append(parts, name+"\x01"+w.Properties[name])
		}
	}
	return strings.Join(parts, "\x02")
}

// described are workloads by their descriptions: a process sees few, and each call has one.
var described sync.Map

func workloadOf(description string) (*ycsb.Workload, error) {
	if w, ok := described.Load(description); ok {
		return w.(*ycsb.Workload), nil
	}
	var p ycsb.Properties
	for part := range strings.SplitSeq(description, "\x02") {
		name, value, _ := strings.Cut(part, "\x01")
		p.Set(name, value, "")
	}
	if !slices.Contains(p.Names(), "recordcount") {
		p.Set("recordcount", "1", "")
	}
	w, err := ycsb.New(&p)
	if err == nil {
		described.Store(description, w)
	}
	return w, err
}

// AppendSetup begins a call, which AppendOp goes on.
func AppendSetup(b []byte, s Setup) []byte { return s.append(b) }

func (s Setup) append(b []byte) []byte {
	b = appendText(b, s.Workload)
	flags := byte(0)
	if s.Check {
		flags |= flagCheck
	}
	if s.Reads {
		flags |= flagReads
	}
	return appendText(append(b, flags), s.Ack)
}

const (
	flagCheck = 1 << iota
	flagReads
)

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// AppendOp appends one operation of a call.
func AppendOp(b []byte, op *ycsb.Op) []byte {
	b = binary.AppendUvarint(append(b, byte(op.Kind)), uint64(op.Record))
	switch {
	case op.Kind == ycsb.Scan:
		return binary.AppendUvarint(b, uint64(op.Length))
	case op.Kind.Writes():
		return binary.BigEndian.AppendUint64(b, uint64(op.Version))
	}
	return b
}

// reader reads what Append functions have written; the first mistake stays.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	x, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return x
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) text() string { return string(r.take(r.uvarint())) }

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) version() ycsb.Version {
	if b := r.take(8); b != nil {
		return ycsb.Version(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) setup() (Setup, *ycsb.Workload, error) {
	s := Setup{Workload: r.text()}
	flags := r.byte()
	s.Check, s.Reads, s.Ack = flags&flagCheck != 0, flags&flagReads != 0, r.text()
	if r.bad {
		return s, nil, errCall()
	}
	w, err := workloadOf(s.Workload)
	return s, w, err
}

func errCall() error {
	return fault.New(fault.InvalidArgument, "the call makes no sense: it is for squall bench ycsb of the same release")
}

func (r *reader) op(op *ycsb.Op) {
	*op = ycsb.Op{Kind: ycsb.Kind(r.byte()), Record: int64(r.uvarint())}
	switch {
	case op.Kind >= ycsb.Run:
		r.bad = true
	case op.Kind == ycsb.Scan:
		op.Length = int64(r.uvarint())
		r.bad = r.bad || op.Length < 0 || op.Length > ycsb.MaxScan
	case op.Kind.Writes():
		op.Version = r.version()
	}
}

// Do carries out the operations of a call, one after the other, and gives their outcomes: nothing where all went well.
func Do(c fn.Context, call []byte) ([]byte, error) {
	r := &reader{b: call}
	s, w, err := r.setup()
	if err != nil {
		return nil, err
	}
	e := &effects{c: c, w: w, setup: s}
	var out []byte
	var op ycsb.Op
	e.ahead(r.b)
	var reads []int64 // records of operations one after the other that only read: the node gets what it lacks of them together
	first := 0        // the operation that reads the first of them
	readAll := func() {
		if len(reads) == 0 {
			return
		}
		keys, vs, err := e.get(reads)
		for i := range reads {
			e.missing, e.damaged = 0, 0
			failed := err
			if err == nil {
				failed = e.look(keys[i], vs[i])
			}
			if failed != nil || e.missing+e.damaged > 0 {
				out = appendOutcome(out, first+i, e.missing, e.damaged, failed)
			}
		}
		reads = reads[:0]
	}
	for n := 0; len(r.b) > 0; n++ {
		if r.op(&op); r.bad {
			return nil, errCall()
		}
		if op.Kind == ycsb.Read {
			if len(reads) == 0 {
				first = n
			}
			reads = append(reads, op.Record)
			continue
		}
		readAll()
		e.missing, e.damaged = 0, 0
		if err := e.do(&op); err != nil || e.missing+e.damaged > 0 {
			out = appendOutcome(out, n, e.missing, e.damaged, err)
		}
	}
	readAll()
	return out, nil
}

// ahead has the node read what a call's operations are about, all together, where they do not only read: else each run of reads
// between two writes would be a trip to the store. What fails here fails there again.
func (e *effects) ahead(call []byte) {
	var records []int64
	var op ycsb.Op
	writes := false
	for r := (&reader{b: call}); len(r.b) > 0; {
		if r.op(&op); r.bad {
			return
		}
		if op.Kind == ycsb.Read || op.Kind == ycsb.Update || op.Kind == ycsb.ReadModifyWrite {
			records = append(records, op.Record)
		}
		writes = writes || op.Kind != ycsb.Read
	}
	if writes && len(records) > 1 {
		_, _, _ = e.get(records)
	}
}

func appendOutcome(b []byte, n, missing, damaged int, err error) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(b, uint64(n)), uint64(missing)), uint64(damaged))
	if err == nil {
		return appendText(appendText(b, ""), "")
	}
	e := fault.From(err)
	return appendText(appendText(b, string(e.Code)), e.Message)
}

// Outcomes reads what Do has given: f hears of the operations that did not go well, or did not find everything.
func Outcomes(b []byte, f func(n, missing, damaged int, err error)) error {
	for r := (&reader{b: b}); len(r.b) > 0; {
		n, missing, damaged, code, message := int(r.uvarint()), int(r.uvarint()), int(r.uvarint()), r.text(), r.text()
		if r.bad {
			return fault.New(fault.Internal, "the answer makes no sense: the functions are of another release")
		}
		var err error
		if code != "" {
			err = fault.New(fault.Code(code), "%s", message)
		}
		f(n, missing, damaged, err)
	}
	return nil
}
