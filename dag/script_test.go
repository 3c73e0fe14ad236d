package dag

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/fn"
	"github.com/squall-faas/squall/value"
)

// TestRunScripts drives runs with the scripts of testdata/run. A script draws a graph, makes one site's part of a run
// of it, and feeds it events, one a line; each event is echoed behind ">" with the commands that it gave below.
//
//	graph                         run self=0 homes=(0,1) …      events
//	input x                       ----                          start
//	call a f x 7                                                arrive x 5
//	map m f x k retries=1                                       finish a out         a's try 1, or a/2, m.3/1
//	reduce r f m initial=z                                      fail a function_error [final] [after=2s]
//	call j f any=a,m k 2of=…   when=a:equals:k  only-if=a       absent a [function_error] · declined a j · flowing a b
//	call h f a hedge=0.9     run … late=2s                      offer m 0:2 1:1      site:items
//	output y r                                                  timer a/-1           a/1 is late
//	----                                                        timer a/2 · deadline · cancel · at 3s · held
//	                                                            failed-elsewhere a function_error
//	                                                            replan epoch=1 homes=0,0 lost=1 resend=a:2 known=a done=a
//
// Values are words, [lists of words], @references and null. site=1 says that an item ran elsewhere.
func TestRunScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/run/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			s := &script{t: t}
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
				switch d.Cmd {
				case "graph":
					s.g = graphOf(t, d.Input)
					return ""
				case "run":
					return s.begin(d)
				case "events":
					return s.events(d.Input)
				}
				d.Fatalf(t, "unknown directive %q", d.Cmd)
				return ""
			})
		})
	}
}

// script is the state of one script.
type script struct {
	t   *testing.T
	g   *Graph
	run *Run
	now time.Time
}

var scriptEpoch = time.Unix(0, 0).UTC()

func (s *script) begin(d *datadriven.TestData) string {
	cfg := RunConfig{Plan: Plan{Home: make([]Site, len(s.g.Nodes))}, Seed: 1}
	s.now = scriptEpoch
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "self":
			cfg.Self = s.site(a.Vals[0])
		case "homes":
			cfg.Plan.Home = nil
			for _, v := range a.Vals {
				cfg.Plan.Home = append(cfg.Plan.Home, s.site(v))
			}
		case "collector":
			cfg.Plan.Collector = s.site(a.Vals[0])
		case "late":
			d := s.duration(a.Vals[0])
			cfg.Late = func(int, []value.Value, float64) (time.Duration, bool) { return d, true }
		case "deadline":
			cfg.Deadline = scriptEpoch.Add(s.duration(a.Vals[0]))
		default:
			s.t.Fatalf("%s: unknown argument %s", d.Pos, a.Key)
		}
	}
	s.run = NewRun(s.g, cfg)
	return s.events(d.Input)
}

func (s *script) events(input string) string {
	var out strings.Builder
	for line := range strings.Lines(input) {
		line = strings.TrimSpace(line)
		words := splitWords(line)
		if len(words) == 0 {
			continue
		}
		fmt.Fprintf(&out, "> %s\n", line)
		switch words[0] {
		case "at":
			s.now = scriptEpoch.Add(s.duration(words[1]))
			continue
		case "held":
			for _, h := range s.run.Held() {
				v, _ := s.run.Value(h)
				fmt.Fprintf(&out, "%s=%s\n", s.g.SourceName(h), show(v))
			}
			continue
		}
		for _, c := range s.run.Step(s.now, s.event(words), nil) {
			fmt.Fprintln(&out, s.command(c))
		}
		if s.run.Ended() {
			fmt.Fprintln(&out, "(ended)")
		}
	}
	return out.String()
}

func (s *script) event(w []string) Event {
	opts := map[string]string{}
	for _, x := range w[1:] {
		if k, v, ok := strings.Cut(x, "="); ok {
			opts[k] = v
		} else {
			opts[x] = x
		}
	}
	ev := Event{Site: s.run.cfg.Self}
	if v, ok := opts["site"]; ok {
		ev.Site = s.site(v)
	}
	switch w[0] {
	case "start":
		ev.Kind = Started
	case "arrive":
		ev.Kind, ev.Source, ev.Value = Arrived, s.source(w[1]), valueOf(w[2])
	case "finish":
		ev.Kind, ev.Invocation, ev.Value = Finished, s.invocation(w[1]), valueOf(w[2])
	case "fail":
		ev.Kind, ev.Invocation = Failed, s.invocation(w[1])
		ev.Err = fault.New(fault.Code(w[2]), "it broke")
		ev.Err.Final = opts["final"] != ""
		if v, ok := opts["after"]; ok {
			ev.Err.RetryAfter = s.duration(v)
		}
	case "offer":
		ev.Kind, ev.Invocation = Offered, s.invocation(w[1])
		for _, o := range w[2:] {
			site, items, _ := strings.Cut(o, ":")
			ev.Offers = append(ev.Offers, Offer{Site: s.site(site), Items: int(s.site(items))})
		}
	case "failed-elsewhere":
		ev.Kind, ev.Err = NodeFailed, fault.New(fault.Code(w[2]), "it broke there")
		ev.Err.Node = w[1]
	case "absent":
		if ev.Kind, ev.Source = Absent, s.source(w[1]); len(w) > 2 {
			ev.Err = fault.New(fault.Code(w[2]), "it broke there").With(func(e *fault.Error) { e.Node = w[1] })
		}
	case "flowing":
		ev.Kind, ev.Source = Flowing, s.source(w[1])
		for _, name := range strings.Split(w[2], ",") {
			ev.Nodes = append(ev.Nodes, s.invocation(name).Node)
		}
	case "declined":
		ev.Kind, ev.Source, ev.Invocation = Declined, s.source(w[1]), s.invocation(w[2])
	case "timer":
		ev.Kind, ev.Timer = TimerFired, Timer(s.invocation(w[1]))
	case "deadline":
		ev.Kind, ev.Timer = TimerFired, DeadlineTimer
	case "cancel":
		ev.Kind = Cancelled
	case "replan":
		ev.Kind = Replanned
		s.replan(&ev, opts)
	default:
		s.t.Fatalf("unknown event %q", w[0])
	}
	return ev
}

func (s *script) replan(ev *Event, opts map[string]string) {
	ev.Plan = s.run.Plan()
	for k, v := range opts {
		for _, v := range strings.Split(v, ",") {
			switch k {
			case "epoch":
				ev.Plan.Epoch = uint32(s.site(v))
			case "homes":
				if len(ev.Plan.Home) == len(s.g.Nodes) {
					ev.Plan.Home = nil
				}
				ev.Plan.Home = append(ev.Plan.Home, s.site(v))
			case "collector":
				ev.Plan.Collector = s.site(v)
			case "done":
				if ev.Plan.Done == nil {
					ev.Plan.Done = make([]bool, len(s.g.Nodes))
				}
				n, _ := s.g.NodeOf(s.source(v))
				ev.Plan.Done[n] = true
			case "lost":
				ev.Lost = append(ev.Lost, s.site(v))
			case "resend":
				name, to, _ := strings.Cut(v, ":")
				ev.Resend = append(ev.Resend, Send{Source: s.source(name), To: s.site(to)})
			case "known":
				ev.Known = append(ev.Known, s.source(v))
			default:
				s.t.Fatalf("replan has no %q", k)
			}
		}
	}
}

func (s *script) command(c Command) string {
	switch c.Kind {
	case Invoke:
		return fmt.Sprintf("invoke %s %s", s.name(c.Invocation), showAll(c.Args))
	case Delegate:
		return fmt.Sprintf("delegate %s to %d %s", s.name(c.Invocation), c.Site, showAll(c.Args))
	case Pass:
		return fmt.Sprintf("pass %s=%s to %d", s.g.SourceName(c.Source), show(c.Value), c.Site)
	case PassFailure:
		return fmt.Sprintf("pass-failure to %d: %s", c.Site, showFault(c.Err))
	case Spread:
		return fmt.Sprintf("spread %s over %d items", s.g.Nodes[c.Invocation.Node].Name, c.Items)
	case SetTimer:
		return fmt.Sprintf("timer %s at %v", s.name(Invocation(c.Timer)), c.At.Sub(scriptEpoch).Round(time.Millisecond))
	case Abort:
		return "abort"
	case PassAbsence:
		text := fmt.Sprintf("pass-absence of %s to %d", s.g.SourceName(c.Source), c.Site)
		if c.Err != nil {
			text += ": " + showFault(c.Err)
		}
		return text
	case Decline:
		return fmt.Sprintf("decline %s for %s at %d", s.g.SourceName(c.Source), s.g.Nodes[c.Invocation.Node].Name, c.Site)
	case Withdraw:
		return fmt.Sprintf("withdraw %s at %d", s.name(c.Invocation), c.Site)
	case Reply:
		if c.Err != nil {
			return "reply " + showFault(c.Err)
		}
		var out []string
		for i, v := range c.Outputs {
			out = append(out, s.g.Outputs[i].Name+"="+show(v))
		}
		return "reply " + strings.Join(out, " ")
	}
	return fmt.Sprintf("unknown command %d", c.Kind)
}

func (s *script) name(inv Invocation) string {
	if inv == Invocation(DeadlineTimer) {
		return "deadline"
	}
	name := s.g.Nodes[inv.Node].Name
	if inv.Item > 0 {
		name += "." + strconv.Itoa(inv.Item)
	}
	return name + "/" + strconv.Itoa(inv.Try)
}

func (s *script) invocation(text string) Invocation {
	inv := Invocation{Try: 1}
	text, try, ok := strings.Cut(text, "/")
	if ok {
		inv.Try = int(s.site(try))
	}
	text, item, ok := strings.Cut(text, ".")
	if ok {
		inv.Item = int(s.site(item))
	}
	if n, err := strconv.Atoi(text); err == nil { // a node by number, that need not exist
		inv.Node = n
		return inv
	}
	inv.Node, _ = s.g.NodeOf(s.source(text))
	return inv
}

func (s *script) source(name string) Source {
	if n, err := strconv.Atoi(name); err == nil {
		return Source(n)
	}
	for i := range Source(s.g.Sources()) {
		if s.g.SourceName(i) == name {
			return i
		}
	}
	s.t.Fatalf("no input or node %q", name)
	return 0
}

func (s *script) site(text string) Site {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatalf("%q is not a number", text)
	}
	return Site(n)
}

func (s *script) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// splitWords cuts a line at its spaces, but not inside brackets.
func splitWords(line string) []string {
	depth := 0
	return strings.FieldsFunc(line, func(c rune) bool {
		switch c {
		case '[':
			depth++
		case ']':
			depth--
		}
		return c == ' ' && depth == 0
	})
}

// graphOf builds a graph from the lines of a script.
func graphOf(t *testing.T, text string) *Graph {
	t.Helper()
	b := New("script")
	refs := map[string]Ref{}
	for line := range strings.Lines(text) {
		w := splitWords(strings.TrimSpace(line))
		if len(w) == 0 {
			continue
		}
		var args []any
		if len(w) > 3 {
			for _, x := range w[3:] {
				args = append(args, argumentOf(t, refs, x))
			}
		}
		switch w[0] {
		case "input":
			refs[w[1]] = b.Input(w[1])
		case "call":
			refs[w[1]] = b.Call(w[1], w[2], args...)
		case "map":
			refs[w[1]] = b.Map(w[1], w[2], args[0].(Ref), args[1:]...)
		case "reduce":
			var opts []Option
			for _, a := range args[1:] {
				opts = append(opts, a.(Option))
			}
			refs[w[1]] = b.Reduce(w[1], w[2], args[0].(Ref), opts...)
		case "output":
			b.Output(w[1], refs[w[2]])
		default:
			t.Fatalf("unknown line %q", line)
		}
	}
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func argumentOf(t *testing.T, refs map[string]Ref, text string) any {
	if r, ok := refs[text]; ok {
		return r
	}
	key, val, ok := strings.Cut(text, "=")
	if !ok {
		return valueOf(text)
	}
	edge := func(text string) Ref { // a, or a:greater:k
		parts := strings.Split(text, ":")
		ref := refs[parts[0]]
		if len(parts) == 1 {
			return ref
		}
		for op, name := range opNames {
			if name == parts[1] {
				return When(ref, Field().with(op, valueOf(parts[2])))
			}
		}
		t.Fatalf("no condition %q", text)
		return ref
	}
	edges := func() (refs []Ref) {
		for _, e := range strings.Split(val, ",") {
			refs = append(refs, edge(e))
		}
		return refs
	}
	switch key {
	case "any":
		return Any(edges()...)
	case "1of", "2of", "3of":
		return KOf(int(key[0]-'0'), edges()...)
	case "when":
		return edge(val)
	case "only-if":
		return After(edge(val))
	case "hedge":
		q, err := strconv.ParseFloat(val, 64)
		if err != nil {
			t.Fatal(err)
		}
		return Hedge(q)
	case "initial":
		return Initial(valueOf(val))
	case "retries": // retries=3:1s:30s
		parts := strings.Split(val, ":")
		n, err := strconv.Atoi(parts[0])
		if err != nil {
			t.Fatal(err)
		}
		var durations []time.Duration
		for _, p := range parts[1:] {
			d, err := time.ParseDuration(p)
			if err != nil {
				t.Fatal(err)
			}
			durations = append(durations, d)
		}
		return Retries(n, durations...)
	}
	t.Fatalf("unknown option %q", text)
	return nil
}

// valueOf reads a value as the scripts write them.
func valueOf(text string) value.Value {
	switch {
	case text == "null":
		return value.Value{}
	case strings.HasPrefix(text, "@"):
		return value.MustOf(value.Ref(text[1:]))
	case strings.HasPrefix(text, "["):
		var vs []value.Value
		for _, w := range splitWords(strings.TrimSuffix(text[1:], "]")) {
			vs = append(vs, valueOf(w))
		}
		return value.List(vs)
	}
	return value.MustOf(text)
}

// show writes a value as valueOf reads it.
func show(v value.Value) string {
	if v.IsNull() {
		return "null"
	}
	if key, ok := v.Ref(); ok {
		return "@" + string(key)
	}
	if text, err := value.As[string](v); err == nil {
		return text
	}
	if parts, err := value.As[[]fn.Part](v); err == nil && len(parts) > 0 {
		var out []string
		for _, p := range parts {
			out = append(out, fmt.Sprintf("%d:%s", p.Index, show(p.Value)))
		}
		return "<" + strings.Join(out, " ") + ">"
	}
	vs, err := v.Elements()
	if err != nil {
		return err.Error()
	}
	return "[" + strings.Trim(showAll(vs), "()") + "]"
}

func showAll(vs []value.Value) string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = show(v)
	}
	return "(" + strings.Join(out, " ") + ")"
}

func showFault(err *fault.Error) string {
	text := fmt.Sprintf("%v", err)
	if err.Item > 0 {
		text += fmt.Sprintf(" item %d", err.Item)
	}
	if err.Attempt > 0 {
		text += fmt.Sprintf(" attempt %d", err.Attempt)
	}
	return text
}
