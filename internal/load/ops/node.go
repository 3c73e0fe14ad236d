package ops

import (
	"encoding/binary"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/ycsb"
)

// A message is what passes along the edges of a DAG: the node that it is for, where the node does not know, what all nodes
// of the run do to state, and the payload.
//
//	node(uvarint)  setup  version(8)  accesses(uvarint)  { node(uvarint)  write(1)  record(uvarint) }…  payload

// AppendMessage appends the input of a run.
func AppendMessage(b []byte, s Setup, op *ycsb.Op, payload int) []byte {
	b = s.append(append(b, 0))
	b = binary.BigEndian.AppendUint64(b, uint64(op.Version))
	b = binary.AppendUvarint(b, uint64(len(op.Access)))
	for _, a := range op.Access {
		write := byte(0)
		if a.Write {
			write = 1
		}
		b = binary.AppendUvarint(append(binary.AppendUvarint(b, uint64(a.Node)), write), uint64(a.Record))
	}
	b, _ = ycsb.AppendText(b, int64(payload), uint64(op.Version))
	return b
}

// work does what a node of a run does to state, and gives the message without its node.
func work(c fn.Context, node int, message []byte) (rest []byte, err error) {
	r := &reader{b: message}
	if given := int(r.uvarint()); node < 0 {
		node = given
	}
	rest = r.b
	s, w, err := r.setup()
	if err != nil {
		return nil, err
	}
	e := &effects{c: c, w: w, setup: s}
	v := r.version()
	for range r.uvarint() {
		at, write, record := int(r.uvarint()), r.byte() == 1, int64(r.uvarint())
		switch {
		case r.bad:
			return nil, errCall()
		case at != node:
			continue
		}
		// Who writes has read, as functions do: at a causal level the write then replaces what was there.
		if err := e.read(record); err != nil {
			return nil, err
		}
		if write {
			if err := e.write(record, v); err != nil {
				return nil, err
			}
		}
	}
	if r.bad {
		return nil, errCall()
	}
	if e.damaged > 0 {
		return nil, fault.New(fault.Internal, "node %d read a record that is damaged, or another key's", node)
	}
	return rest, nil
}

// Step is a node of one input: it passes on what it got.
func Step(c fn.Context, node int, in []byte) ([]byte, error) {
	_, err := work(c, node, in)
	return in, err
}

// Join is a node of two inputs.
func Join(c fn.Context, node int, a, _ []byte) ([]byte, error) {
	_, err := work(c, node, a)
	return a, err
}

// Split is the source of a fan-out: a part for each of width calls, whose nodes are numbered from 1.
func Split(c fn.Context, width int, in []byte) ([][]byte, error) {
	rest, err := work(c, 0, in)
	if err != nil {
		return nil, err
	}
	out := make([][]byte, width)
	for i := range out {
		out[i] = append(binary.AppendUvarint(make([]byte, 0, len(rest)+3), uint64(i+1)), rest...)
	}
	return out, nil
}

// Part is a call of a fan-out.
func Part(c fn.Context, part []byte) ([]byte, error) {
	_, err := work(c, -1, part)
	return part, err
}

// Gather is the join of a fan-out.
func Gather(c fn.Context, node int, parts [][]byte) ([]byte, error) {
	if len(parts) == 0 {
		return nil, errCall()
	}
	_, err := work(c, node, parts[0])
	return parts[0], err
}
