package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/nats-io/nats.go"

	"github.com/squall-faas/squall/fault"
)

// The floor: the same composition, client → A → B → client, by hand. Its payload is the very bytes of Squall's
// argument, the wire form of an int: one byte of kind and a CBOR integer; before it, over NATS, the inbox that the
// answer goes to, and over TCP the number of the caller's worker.

const (
	kindCBOR   = 3    // value.CBOR
	cborUint32 = 0x1a // a CBOR integer of four bytes follows
	cborUint64 = 0x1b // of eight

	argBytes    = 6  // of an argument: kind, head, four bytes
	resultBytes = 10 // of a result: kind, head, eight bytes
)

var errBareValue = errors.New("the value is not what the floor passes on")

// appendArg writes an argument between 1<<16 and 1<<32, as value.Value does.
func appendArg(b []byte, x uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, kindCBOR, cborUint32), x)
}

func readArg(b []byte) (uint32, error) {
	if len(b) != argBytes || b[0] != kindCBOR || b[1] != cborUint32 {
		return 0, errBareValue
	}
	return binary.BigEndian.Uint32(b[2:]), nil
}

func appendResult(b []byte, x uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, kindCBOR, cborUint64), x)
}

func readResult(b []byte) (uint64, error) {
	if len(b) != resultBytes || b[0] != kindCBOR || b[1] != cborUint64 {
		return 0, errBareValue
	}
	return binary.BigEndian.Uint64(b[2:]), nil
}

const (
	bareFirst  = "bare.a"
	bareSecond = "bare.b"
)

// The second form of the floor leaves the inbox to nats.go: the client makes a Request, A passes its reply subject on.
const (
	bareRequestFirst  = "bare.request.a"
	bareRequestSecond = "bare.request.b"
)

// appendInbox puts the inbox before a payload.
func appendInbox(b []byte, inbox string) []byte { return append(append(b, byte(len(inbox))), inbox...) }

func cutInbox(b []byte) (inbox, payload []byte, err error) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return nil, nil, errBareValue
	}
	n := 1 + int(b[0])
	return b[:n], b[n:], nil
}

// bare is A or B of the floor: nothing but nats.go. A message that makes no sense is not answered, and its call fails
// at the client.
func bare(cfg nodeConfig) (end func() error, err error) {
	nc, err := nats.Connect(cfg.URL, nats.Name(cfg.Name))
	if err != nil {
		return nil, fault.New(fault.Unreachable, "floor: %w", err)
	}
	handlers := map[string]nats.MsgHandler{
		bareFirst: func(m *nats.Msg) {
			if inbox, arg, err := cutInbox(m.Data); err == nil {
				if x, err := readArg(arg); err == nil {
					_ = nc.Publish(bareSecond, appendArg(append(make([]byte, 0, 64), inbox...), x+1))
				}
			}
		},
		bareRequestFirst: func(m *nats.Msg) {
			if x, err := readArg(m.Data); err == nil {
				_ = nc.PublishRequest(bareRequestSecond, m.Reply, appendArg(nil, x+1))
			}
		},
	}
	if cfg.Role == roleBareSecond {
		handlers = map[string]nats.MsgHandler{
			bareSecond: func(m *nats.Msg) {
				if inbox, arg, err := cutInbox(m.Data); err == nil {
					if x, err := readArg(arg); err == nil {
						_ = nc.Publish(string(inbox[1:]), appendResult(nil, uint64(x)*uint64(x)))
					}
				}
			},
			bareRequestSecond: func(m *nats.Msg) {
				if x, err := readArg(m.Data); err == nil {
					_ = nc.Publish(m.Reply, appendResult(nil, uint64(x)*uint64(x)))
				}
			},
		}
	}
	for subject, h := range handlers {
		if _, err = nc.Subscribe(subject, h); err != nil {
			break
		}
	}
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		nc.Close()
		return nil, fault.New(fault.Unreachable, "floor: %w", err)
	}
	return func() error { nc.Close(); return nil }, nil
}

// A TCP frame is the worker's number and the value.
const workerBytes = 2

// relay is A or B over bare TCP: it listens, and passes on to the next address.
func relay(ctx context.Context, cfg nodeConfig) (address string, end func() error, err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fault.New(fault.Unavailable, "floor: %w", err)
	}
	next, err := new(net.Dialer).DialContext(ctx, "tcp", cfg.URL)
	if err != nil {
		return "", nil, errors.Join(fault.New(fault.Unreachable, "floor: %w", err), l.Close())
	}
	step := func(out, arg []byte) ([]byte, error) {
		x, err := readArg(arg)
		return appendArg(out, x+1), err
	}
	if cfg.Role == roleTCPSecond {
		step = func(out, arg []byte) ([]byte, error) {
			x, err := readArg(arg)
			return appendResult(out, uint64(x)*uint64(x)), err
		}
	}
	go func() { // until the process ends, or the node before it
		in, err := l.Accept()
		if err != nil {
			return // it was closed before anyone came
		}
		_ = forward(in, next, step) // its end ends the calls
		_ = in.Close()
	}()
	return l.Addr().String(), func() error {
		return errors.Join(l.Close(), next.Close())
	}, nil
}

// forward passes frames on until one side ends; what has come together leaves together.
func forward(in io.Reader, out io.Writer, step func(out, arg []byte) ([]byte, error)) error {
	r, w := bufio.NewReader(in), bufio.NewWriter(out)
	frame, next := make([]byte, workerBytes+argBytes), make([]byte, 0, workerBytes+resultBytes)
	for {
		if _, err := io.ReadFull(r, frame); err != nil {
			return err
		}
		next, err := step(append(next[:0], frame[:workerBytes]...), frame[workerBytes:])
		if err != nil {
			return err
		}
		if _, err := w.Write(next); err != nil {
			return err
		}
		if r.Buffered() < len(frame) {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
}
