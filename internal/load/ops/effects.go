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
	case ycsb.Read, ycsb.Scan:
		records := make([]int64, max(op.Length, 1))
		for i := range records {
			records[i] = op.Record + int64(i)
		}
		return e.read(records...)
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

// read reads records, and looks at each.
func (e *effects) read(records ...int64) error {
	keys, vs, err := e.get(records)
	if err != nil {
		return err
	}
	for i, v := range vs {
		if err := e.look(keys[i], v); err != nil {
			return err
		}
	}
	return nil
}

func (e *effects) get(records []int64) (keys []string, vs []value.Value, err error) {
	keys = make([]string, len(records))
	for i, record := range records {
		keys[i] = string(e.w.AppendKey(e.key[:0], record))
	}
	vs, err = e.c.GetValues(keys)
	return keys, vs, err
}

// look verifies what was read under a key.
func (e *effects) look(key string, v value.Value) error {
	if v.IsNull() {
		e.missing++
		return nil
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
