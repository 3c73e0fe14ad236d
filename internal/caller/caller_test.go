package caller

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/bus"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/internal/offload"
	"github.com/squall-faas/squall/internal/wire"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/value"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a stand-in for a coordinator: it notes what comes and answers as the test says.
type desk struct {
	t   *testing.T
	net *bus.Network
	bus bus.Bus
	*Caller

	mu     sync.Mutex // guards what follows
	calls  []wire.Call
	ops    []string                                 // of RunOps, "await <run>"
	onCall func(c wire.Call)                        // nil ignores calls
	state  func(run id.Run) wire.State              // nil does not answer inquiries
	answer func(op string, run id.Run) *wire.Answer // nil does not answer other requests
}

// atDesk runs a test in virtual time with a Caller and a desk, which is open unless the test closes it.
func atDesk(t *testing.T, test func(t *testing.T, d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{t: t, net: bus.NewNetwork(bus.Options{})}
		t.Cleanup(d.net.Close)
		store := kvs.NewMemory()
		t.Cleanup(func() { _ = store.Close() })
		off, err := offload.New(offload.Config{Store: store})
		if err != nil {
			t.Fatal(err)
		}
		if d.Caller, err = New(Config{Bus: d.net.Join("client"), Offload: off, Namespace: "test"}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		d.open()
		test(t, d)
	})
}

// open takes the desk's place on the network.
func (d *desk) open() {
	d.bus = d.net.Join("desk")
	s := wire.In("test")
	for subject, h := range map[string]bus.Handler{s.Calls(): d.call, s.Runs(): d.runOp} {
		if _, err := d.bus.Subscribe(subject, wire.Queue, h); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *desk) call(m bus.Msg) {
	var c wire.Call
	if err := wire.Decode(m.Data, &c); err != nil {
		d.t.Error(err)
		return
	}
	d.mu.Lock()
	d.calls = append(d.calls, c)
	do := d.onCall
	d.mu.Unlock()
	if do != nil {
		do(c)
	}
}

func (d *desk) runOp(m bus.Msg) {
	op := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	d.mu.Lock()
	state, answer := d.state, d.answer
	d.mu.Unlock()
	var a *wire.Answer
	if op == wire.OpInquire {
		var q wire.Inquiry
		if err := wire.Decode(m.Data, &q); err != nil {
			d.t.Error(err)
		}
		if state != nil {
			a = &wire.Answer{}
			for _, run := range q.Runs {
				a.States = append(a.States, state(run))
			}
		}
	} else {
		var q wire.RunOp
		if err := wire.Decode(m.Data, &q); err != nil {
			d.t.Error(err)
		}
		d.mu.Lock()
		d.ops = append(d.ops, op+" "+q.Run.String())
		d.mu.Unlock()
		if answer != nil {
			a = answer(op, q.Run)
		}
	}
	if a != nil && m.Reply != "" {
		d.publish(m.Reply, a)
	}
}

func (d *desk) publish(to string, m wire.Message) {
	if err := d.bus.Publish(bus.Msg{Subject: to, Data: wire.MustEncode(m)}); err != nil && !errors.Is(err, bus.ErrClosed) {
		d.t.Error(err)
	}
}

// reply sends the outcome n of a call.
func (d *desk) reply(c wire.Call, n int) {
	b, err := value.MustOf(n).Wire()
	if err != nil {
		d.t.Error(err)
	}
	d.publish(c.Reply, &wire.Outcome{Run: c.Run, State: wire.Succeeded, Names: []string{"result"}, Values: []wire.Value{{Inline: b}}})
}

func (d *desk) set(edit func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	edit()
}

func (d *desk) seen() (calls []wire.Call, ops []string) {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	return append(calls, d.calls...), append(ops, d.ops...)
}

func always(s wire.State) func(id.Run) wire.State { return func(id.Run) wire.State { return s } }

func request(name string) Request { return Request{Target: wire.TargetFunction, Name: name} }

func number(t *testing.T, r *Result) int {
	t.Helper()
	if len(r.Values) != 1 {
		t.Fatalf("%d values", len(r.Values))
	}
	n, err := value.As[int](r.Values[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLateReply: the reply to a call that has ended reaches nobody, neither the next call nor one of another name.
func TestLateReply(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := d.Call(ctx, request("slow"))
		if !fault.Is(err, fault.DeadlineExceeded) {
			t.Fatalf("no reply: %v", err)
		}
		calls, ops := d.seen()
		if len(ops) != 1 || ops[0] != "cancel "+calls[0].Run.String() {
			t.Errorf("after giving up: %v", ops)
		}
		d.set(func() {
			d.onCall = func(c wire.Call) {
				d.reply(calls[0], 1) // at last
				d.reply(calls[0], 1)
				d.reply(c, 2)
				d.reply(c, 3) // twice: the first counts
			}
		})
		for range 3 {
			r, err := d.Call(t.Context(), request("next"))
			if err != nil || number(t, r) != 2 {
				t.Errorf("the next call: %v, %v", r, err)
			}
		}
	})
}

// TestRemaining: a run's deadline is a little before its caller's, so that its own error comes first; and without one
// there is a default.
func TestRemaining(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		d.set(func() { d.onCall = func(c wire.Call) { d.reply(c, 1) } })
		for _, tc := range []struct{ timeout, want time.Duration }{
			{0, DefaultTimeout - 50*time.Millisecond},
			{time.Hour, time.Hour - 50*time.Millisecond},
			{time.Second, 950 * time.Millisecond},
			{100 * time.Millisecond, 95 * time.Millisecond},
			{20, 19},
		} {
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if tc.timeout > 0 {
				ctx, cancel = context.WithTimeout(t.Context(), tc.timeout)
			}
			if _, err := d.Call(ctx, request("f")); err != nil {
				t.Error(err)
			}
			cancel()
			calls, _ := d.seen()
			if got := time.Duration(calls[len(calls)-1].Remaining); got != tc.want {
				t.Errorf("with a timeout of %v the run has %v, want %v", tc.timeout, got, tc.want)
			}
		}
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		if _, err := d.Call(ctx, request("f")); !fault.Is(err, fault.DeadlineExceeded) {
			t.Errorf("after its deadline: %v", err)
		}
		d.set(func() {
			d.onCall = func(c wire.Call) { d.publish(c.Reply, &wire.Outcome{Run: c.Run, State: wire.Running}) }
		})
		if _, err := d.Start(t.Context(), request("f")); err != nil {
			t.Error(err)
		}
		calls, _ := d.seen()
		if got := time.Duration(calls[len(calls)-1].Remaining); got != DefaultRunTime {
			t.Errorf("an async run has %v", got)
		}
	})
}

// TestNobodyListens: without a coordinator a call looks for one for a while. It is the same run at each attempt.
func TestNobodyListens(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		if err := d.bus.Close(); err != nil {
			t.Fatal(err)
		}
		for name, do := range map[string]func() error{
			"call":   func() error { _, err := d.Call(t.Context(), request("f")); return err },
			"start":  func() error { _, err := d.Start(t.Context(), request("f")); return err },
			"status": func() error { _, err := d.Status(t.Context(), id.NewRun()); return err },
			"admin":  func() error { _, err := d.Admin(t.Context(), wire.OpMembers, &wire.Admin{}); return err },
		} {
			began := time.Now()
			err := do()
			if took := time.Since(began); !fault.Is(err, fault.Unreachable) || !errors.Is(err, bus.ErrNoResponders) || took < findCoordinator || took > 2*findCoordinator {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		}
		d.set(func() { d.onCall = func(c wire.Call) { d.reply(c, 7) } })
		go func() {
			time.Sleep(time.Second)
			d.open()
		}()
		run := id.NewRun()
		r, err := d.Call(t.Context(), Request{Run: run, Target: wire.TargetFunction, Name: "f"})
		if err != nil || number(t, r) != 7 || r.Run != run {
			t.Errorf("one comes: %v, %v", r, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if err := d.bus.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Call(ctx, request("f")); err == nil {
			t.Error("a call without a coordinator")
		}
	})
}

// TestOutcomeUnknown: a run of which no coordinator knows anything any more, or a coordinator that is silent, ends the
// call within ten seconds; a run that is alive does not.
func TestOutcomeUnknown(t *testing.T) {
	for name, state := range map[string]func(id.Run) wire.State{"forgotten": always(wire.Unknown), "ended": always(wire.Succeeded), "silent": nil} {
		atDesk(t, func(t *testing.T, d *desk) {
			d.set(func() { d.state = state })
			began := time.Now()
			_, err := d.Call(t.Context(), request("f"))
			if took := time.Since(began); !fault.Is(err, fault.OutcomeUnknown) || took > 10*time.Second {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		})
	}
	atDesk(t, func(t *testing.T, d *desk) {
		d.set(func() { d.state = always(wire.Running) })
		began := time.Now()
		_, err := d.Call(t.Context(), request("f"))
		if took := time.Since(began); !fault.Is(err, fault.DeadlineExceeded) || took != DefaultTimeout {
			t.Errorf("alive: %v after %v", err, took)
		}
	})
	atDesk(t, func(t *testing.T, d *desk) { // an inquiry that is lost now and then says nothing
		n := 0
		d.set(func() {
			d.onCall = func(c wire.Call) { time.AfterFunc(30*time.Second, func() { d.reply(c, 5) }) }
			d.state = func(id.Run) wire.State {
				if n++; n%4 == 0 {
					return wire.Running
				}
				return wire.Unknown
			}
		})
		if r, err := d.Call(t.Context(), request("f")); err != nil || number(t, r) != 5 {
			t.Errorf("seen now and then: %v", err)
		}
	})
}

// TestAdmissionLost: the message that says that an async run was admitted is lost, or overtaken by its outcome.
func TestAdmissionLost(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		d.set(func() { d.state = always(wire.Running) })
		began := time.Now()
		run, err := d.Start(t.Context(), request("f"))
		if took := time.Since(began); err != nil || run.IsZero() || took > 5*time.Second {
			t.Errorf("lost: %v, %v after %v", run, err, took)
		}
		d.set(func() {
			d.onCall = func(c wire.Call) {
				d.publish(c.Reply, &wire.Outcome{Run: c.Run, State: wire.Errored, Stored: true, Err: fault.New(fault.FunctionError, "it failed")})
			}
		})
		if _, err := d.Start(t.Context(), request("f")); err != nil {
			t.Errorf("overtaken: %v", err)
		}
		d.set(func() {
			d.onCall = func(c wire.Call) {
				d.publish(c.Reply, &wire.Outcome{Run: c.Run, State: wire.Errored, Err: fault.New(fault.UnknownFunction, "no such function")})
			}
		})
		if _, err := d.Start(t.Context(), request("f")); !fault.Is(err, fault.UnknownFunction) {
			t.Errorf("refused: %v", err)
		}
		d.set(func() { d.state = always(wire.Unknown); d.onCall = nil })
		if _, err := d.Start(t.Context(), request("f")); !fault.Is(err, fault.OutcomeUnknown) {
			t.Errorf("lost on its way: %v", err)
		}
	})
}

// TestAwaitAgain: the coordinator that was to send a stored outcome goes away; the next one is asked again.
func TestAwaitAgain(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		d.set(func() {
			d.state = always(wire.Running)
			d.answer = func(string, id.Run) *wire.Answer { return &wire.Answer{Runs: make([]wire.RunInfo, 1)} }
		})
		run := id.NewRun()
		got := make(chan error, 1)
		go func() {
			r, err := d.Await(t.Context(), run)
			if err == nil && number(t, r) != 9 {
				err = errors.New("another outcome")
			}
			got <- err
		}()
		time.Sleep(10 * time.Second)
		if err := d.bus.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		select {
		case err := <-got:
			t.Fatalf("while no coordinator was there: %v", err)
		default:
		}
		d.set(func() { d.ops, d.state = nil, always(wire.Unknown) })
		d.open()
		time.Sleep(1500 * time.Millisecond)
		if _, ops := d.seen(); len(ops) == 0 || ops[0] != "await "+run.String() {
			t.Errorf("the next one was asked %v", ops)
		}
		d.reply(wire.Call{Run: run, Reply: d.inbox}, 9)
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

// TestAskAgain: a coordinator takes a request along when it dies; it is made again.
func TestAskAgain(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		asked := 0
		d.set(func() {
			d.answer = func(string, id.Run) *wire.Answer {
				if asked++; asked < 3 {
					return nil
				}
				return &wire.Answer{Runs: []wire.RunInfo{{State: wire.Running}}}
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if info, err := d.Status(ctx, id.NewRun()); err != nil || info.State != wire.Running {
			t.Fatalf("%+v, %v", info, err)
		}
		if took := time.Since(began); asked != 3 || took < askAgain*3 || took > askAgain*4 {
			t.Errorf("asked %d times in %v", asked, took)
		}
	})
}

// TestCloseEndsCalls: open calls end in cancelled, later ones are refused, and it may be done twice.
func TestCloseEndsCalls(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		errs := make(chan error, 3)
		go func() { _, err := d.Call(t.Context(), request("f")); errs <- err }()
		go func() { _, err := d.Start(t.Context(), request("f")); errs <- err }()
		go func() {
			d.set(func() { d.answer = func(string, id.Run) *wire.Answer { return &wire.Answer{} } })
			_, err := d.Await(t.Context(), id.NewRun())
			errs <- err
		}()
		synctest.Wait()
		d.Close()
		d.Close()
		for range 3 {
			if err := <-errs; !fault.Is(err, fault.Cancelled) {
				t.Errorf("an open call: %v", err)
			}
		}
		if _, err := d.Call(t.Context(), request("f")); !fault.Is(err, fault.Cancelled) {
			t.Errorf("a call afterwards: %v", err)
		}
	})
}

// TestCancelledContext: the caller goes, so the run is cancelled; the error says which.
func TestCancelledContext(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second/2, cancel)
		if _, err := d.Call(ctx, request("f")); !fault.Is(err, fault.Cancelled) {
			t.Errorf("cancelled: %v", err)
		}
		if _, ops := d.seen(); len(ops) != 1 || !strings.HasPrefix(ops[0], "cancel ") {
			t.Errorf("the coordinators hear %v", ops)
		}
	})
}

// TestSameRun: a run id names one run. Two waits for it both get its outcome; after that the id can be used again.
func TestSameRun(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		run := id.RunFromKey("f", "key")
		if run != id.RunFromKey("f", "key") || run == id.RunFromKey("g", "key") {
			t.Error("a key does not name one run")
		}
		r := Request{Run: run, Target: wire.TargetFunction, Name: "f"}
		var work sync.WaitGroup
		for range 3 {
			work.Go(func() {
				if got, err := d.Call(t.Context(), r); err != nil || number(t, got) != 4 || got.Run != run {
					t.Errorf("%v, %v", got, err)
				}
			})
		}
		synctest.Wait()
		calls, _ := d.seen()
		for _, c := range calls {
			if c.Run != run {
				t.Errorf("a call of run %v", c.Run)
			}
		}
		d.reply(calls[0], 4)
		work.Wait()
		d.set(func() { d.onCall = func(c wire.Call) { d.reply(c, 4) } })
		if got, err := d.Call(t.Context(), r); err != nil || number(t, got) != 4 {
			t.Errorf("again: %v, %v", got, err)
		}
	})
}

// TestRefusals never reach the network.
func TestRefusals(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		for _, name := range []string{"", "a.b", "*", ">", "a b", "a\r\nb", strings.Repeat("x", 300)} {
			if _, err := d.Call(t.Context(), request(name)); !fault.Is(err, fault.InvalidName) {
				t.Errorf("%q: %v", name, err)
			}
			if _, err := d.Start(t.Context(), request(name)); !fault.Is(err, fault.InvalidName) {
				t.Errorf("start %q: %v", name, err)
			}
		}
		if calls, ops := d.seen(); len(calls) != 0 || len(ops) != 0 {
			t.Errorf("the coordinator saw %v and %v", calls, ops)
		}
	})
}

// TestGarbledReplies are refused and change nothing.
func TestGarbledReplies(t *testing.T) {
	atDesk(t, func(t *testing.T, d *desk) {
		d.set(func() {
			d.onCall = func(c wire.Call) {
				for _, b := range [][]byte{nil, {1}, {2, 4, 0}, {1, 4, 0xff}, {1, 3, 0xa0}} {
					if err := d.bus.Publish(bus.Msg{Subject: c.Reply, Data: b}); err != nil {
						t.Error(err)
					}
					if err := d.bus.Publish(bus.Msg{Subject: c.Reply + "." + c.Run.String(), Data: b}); err != nil {
						t.Error(err)
					}
				}
				d.publish(c.Reply, &wire.Outcome{Run: c.Run, State: wire.Running}) // not what a sync call waits for
				d.reply(c, 6)
			}
		})
		if r, err := d.Call(t.Context(), request("f")); err != nil || number(t, r) != 6 {
			t.Errorf("%v, %v", r, err)
		}
		d.set(func() {
			d.onCall = func(c wire.Call) {
				d.publish(c.Reply, &wire.Outcome{Run: c.Run, State: wire.Succeeded, Names: []string{"a", "b"}, Values: []wire.Value{{Inline: []byte{0}}}})
			}
		})
		if _, err := d.Call(t.Context(), request("f")); err == nil {
			t.Error("an outcome with more names than values")
		}
	})
}
