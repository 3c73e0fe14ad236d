package ops

import (
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/internal/ycsb"
	"github.com/squall-faas/squall/value"
)

// effects carries out operations through a function's context.
type effects struct {
	c     fn.Context
	w     *ycsb.Workload
	setup Setup

	key              [64]byte
	missing, damaged int
}

func (e *effects) do(op *ycsb.Op) error {
	switch op.Kind {
	case ycsb.Read:
		return e.read(op.Record)
	case ycsb.Scan:
		for i := range op.Length {
			if err := e.read(op.Record + i); err != nil {
				return err
			}
		}
		return nil
	case ycsb.ReadModifyWrite:
		if err := e.read(op.Record); err != nil {
			return err
		}
	case ycsb.Count:
		_, err := fn.Add(e.c, e.w.CounterKey(op.Record), 1)
		return err
	}
	if op.Kind == ycsb.Update && e.setup.Reads {
		if _, err := e.c.SiblingValues(string(e.w.AppendKey(e.key[:0], op.Record))); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return e.write(op.Record, op.Version)
}

func (e *effects) read(record int64) error {
	key := string(e.w.AppendKey(e.key[:0], record))
	v, err := e.c.GetValue(key)
	if fault.Is(err, fault.NotFound) {
		e.missing++
		return nil
	} else if err != nil {
		return err
	}
	b, err := value.As[[]byte](v)
	if err != nil {
		return err
	}
	if e.setup.Check {
		if _, err := ycsb.Check(key, b); err != nil {
			e.damaged++
		}
	}
	return nil
}

// recordSpare is the room that a record needs beside its fields' bytes, at least.
const recordSpare = 32

func (e *effects) write(record int64, v ycsb.Version) error {
	key := string(e.w.AppendKey(e.key[:0], record))
	c := &e.w.Record
	b := c.Append(make([]byte, 0, recordSpare+c.Fields*(int(c.Length.Most)+3)), key, v)
	return fn.PutWith(e.c, key, b, fn.PutOptions{Ack: e.setup.Ack})
}
