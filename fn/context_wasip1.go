package fn

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/value"
)

// The operations of host_call. The numbers are the ABI's: append-only.
const (
	opGet      = 1
	opPut      = 2
	opDelete   = 3
	opCall     = 4
	opCallDAG  = 5
	opLog      = 6
	opRunID    = 7
	opDeadline = 8
	opLimits   = 9
	opUpdate   = 10
	opSiblings = 11
	opPutWith  = 12
	opAddress  = 13
	opSend     = 14
	opRecv     = 15
	opGetMany  = 16
)

//go:wasmimport squall host_call
func importHostCall(op uint32, ptr unsafe.Pointer, n uint32) uint32

//go:wasmimport squall host_read
func importHostRead(ptr unsafe.Pointer)

// replyMu keeps another goroutine of the function from asking between a request and the reading of its reply.
var replyMu sync.Mutex

// hostCall asks the host and gives the body of its reply, which is the caller's to keep.
func hostCall(op uint32, request []byte) ([]byte, error) {
	replyMu.Lock()
	n := importHostCall(op, unsafe.Pointer(unsafe.SliceData(request)), uint32(len(request)))
	if n == 0 {
		replyMu.Unlock()
		return nil, errBadReply
	}
	reply := make([]byte, n)
	importHostRead(unsafe.Pointer(unsafe.SliceData(reply)))
	replyMu.Unlock()
	if reply[0] == statusOK {
		return reply[1:], nil
	}
	return nil, parseFailure(reply[1:])
}

// guestContext is the Context of one invocation inside WebAssembly. The host ends the instance when the invocation
// is cancelled or its deadline passes, so no code of the guest ever runs after that, and Done need only watch the
// clock.
type guestContext struct {
	over     bool // the function has returned
	asked    bool // deadline is known
	deadline time.Time

	timed  context.Context // made when Done or Err is first asked for
	cancel context.CancelFunc
}

var errOver = fault.New(fault.Cancelled, "the function has returned: its Context is no longer valid; wait for your goroutines before returning")

func (c *guestContext) ask(op uint32, request []byte) ([]byte, error) {
	if c.over {
		return nil, errOver
	}
	return hostCall(op, request)
}

func (c *guestContext) Deadline() (time.Time, bool) {
	if !c.asked {
		if b, err := c.ask(opDeadline, nil); err == nil && len(b) >= 8 {
			if ns := int64(leU64(b)); ns != 0 {
				c.deadline = time.Unix(0, ns)
			}
			c.asked = true
		}
	}
	return c.deadline, !c.deadline.IsZero()
}

func (c *guestContext) clock() context.Context {
	if c.timed == nil {
		at, ok := c.Deadline()
		if !ok {
			// Whoever waits for Done alone must sleep, which the host can end, and not look like a deadlock to Go.
			at = time.Now().Add(never)
		}
		c.timed, c.cancel = context.WithDeadline(context.Background(), at)
		if c.over {
			c.cancel()
		}
	}
	return c.timed
}

// never is longer than any instance lives.
const never = 100 * 365 * 24 * time.Hour

// end makes c useless to goroutines that the function left behind: the instance will run for somebody else.
func (c *guestContext) end() {
	c.over = true
	if c.cancel != nil {
		c.cancel()
	}
}

func (c *guestContext) Done() <-chan struct{} { return c.clock().Done() }
func (c *guestContext) Err() error            { return c.clock().Err() }
func (c *guestContext) Value(any) any         { return nil }

func (c *guestContext) RunID() string {
	b, err := c.ask(opRunID, nil)
	if err != nil {
		return ""
	}
	return string(b)
}

func (c *guestContext) Log(msg string, args ...any) {
	b := appendText(appendU32(nil, uint32(1+len(args))), msg)
	for _, a := range args {
		b = appendText(b, fmt.Sprint(a))
	}
	_, _ = c.ask(opLog, b) // a log line that is lost is no failure of the function
}

func (c *guestContext) GetValue(key string) (value.Value, error) {
	b, err := c.ask(opGet, unsafe.Slice(unsafe.StringData(key), len(key)))
	if err != nil {
		return value.Value{}, err
	}
	return value.Parse(b)
}

func (c *guestContext) GetValues(keys []string) ([]value.Value, error) {
	b := appendU32(nil, uint32(len(keys)))
	for _, key := range keys {
		b = appendText(b, key)
	}
	b, err := c.ask(opGetMany, b)
	if err != nil {
		return nil, err
	}
	vs, err := parseValues(b)
	if err == nil && len(vs) != len(keys) {
		err = errBadReply
	}
	return vs, err
}

func (c *guestContext) SiblingValues(key string) ([]value.Value, error) {
	b, err := c.ask(opSiblings, unsafe.Slice(unsafe.StringData(key), len(key)))
	if err != nil {
		return nil, err
	}
	return parseValues(b)
}

func (c *guestContext) PutValue(key string, v value.Value, o PutOptions) error {
	op := uint32(opPut)
	b := appendText(make([]byte, 0, 24+len(key)+len(o.Ack)+v.Size()), key)
	if o != (PutOptions{}) {
		op = opPutWith
		b = appendText(binary.LittleEndian.AppendUint64(b, uint64(o.TTL)), o.Ack)
	}
	b, err := v.Append(b)
	if err != nil {
		return err
	}
	_, err = c.ask(op, b)
	return err
}

func (c *guestContext) Delete(key string) error {
	_, err := c.ask(opDelete, unsafe.Slice(unsafe.StringData(key), len(key)))
	return err
}

func (c *guestContext) UpdateValue(key string, op lattice.Op) (value.Value, error) {
	b, err := lattice.AppendOp(appendText(nil, key), op)
	if err != nil {
		return value.Value{}, err
	}
	if b, err = c.ask(opUpdate, b); err != nil {
		return value.Value{}, err
	}
	return value.Parse(b)
}

func (c *guestContext) Address() string {
	b, err := c.ask(opAddress, nil)
	if err != nil {
		return ""
	}
	return string(b)
}

func (c *guestContext) SendValue(to string, v value.Value) error {
	b, err := v.Append(appendText(make([]byte, 0, 8+len(to)+v.Size()), to))
	if err != nil {
		return err
	}
	_, err = c.ask(opSend, b)
	return err
}

func (c *guestContext) RecvValue() (from string, v value.Value, err error) {
	b, err := c.ask(opRecv, nil)
	if err != nil {
		return "", value.Value{}, err
	}
	sender, b, ok := cutPart(b)
	if !ok {
		return "", value.Value{}, errBadReply
	}
	v, err = value.Parse(b)
	return string(sender), v, err
}

func (c *guestContext) CallValue(function string, args []value.Value) (value.Value, error) {
	b := appendU32(appendText(nil, function), uint32(len(args)))
	for _, a := range args {
		var err error
		if b, err = appendValue(b, a); err != nil {
			return value.Value{}, err
		}
	}
	b, err := c.ask(opCall, b)
	if err != nil {
		return value.Value{}, err
	}
	return value.Parse(b)
}

func (c *guestContext) CallDAGValues(dag string, inputs map[string]value.Value) (map[string]value.Value, error) {
	b := appendU32(appendText(nil, dag), uint32(len(inputs)))
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		var err error
		if b, err = appendValue(appendText(b, name), inputs[name]); err != nil {
			return nil, err
		}
	}
	b, err := c.ask(opCallDAG, b)
	if err != nil {
		return nil, err
	}
	return parseNamed(b)
}

// parseNamed reads a list of names with values.
func parseNamed(b []byte) (map[string]value.Value, error) {
	if len(b) < 4 {
		return nil, errBadReply
	}
	n := leU32(b)
	b = b[4:]
	out := make(map[string]value.Value)
	for range n {
		name, rest, ok := cutPart(b)
		if !ok {
			return nil, errBadReply
		}
		wire, rest, ok := cutPart(rest)
		if !ok {
			return nil, errBadReply
		}
		v, err := value.Parse(wire)
		if err != nil {
			return nil, err
		}
		out[string(name)], b = v, rest
	}
	return out, nil
}
