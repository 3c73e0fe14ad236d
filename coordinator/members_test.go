package coordinator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/squall-faas/squall/executor/runtime"
	"github.com/squall-faas/squall/internal/wire"
)

var epoch = time.Unix(1000, 0)

// TestMemberScripts drives membership with the scripts of testdata/members: suspect after 500 ms, dead after 3 s. Each
// line is one step, at a time since the start of the file:
//
//	100ms beat a.1 [draining|left] [f=2]   a heartbeat of incarnation 1 of executor a, with so many native functions
//	200ms tick · alive a.1 · lose a.1      time passes · the probe was answered · the link or the probe found nobody
//
// Below come the changes that the shell has to act on, and who is a member then.
func TestMemberScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/members", func(t *testing.T, path string) {
		s := newMembers(500*time.Millisecond, 3*time.Second)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for line := range strings.Lines(d.Input) {
				line = strings.TrimSpace(line)
				fmt.Fprintf(&out, "> %s\n", line)
				words := strings.Fields(line)
				after, err := time.ParseDuration(words[0])
				if err != nil {
					t.Fatal(err)
				}
				now := epoch.Add(after)
				var p wire.Peer
				if len(words) > 2 {
					if _, err := fmt.Sscanf(strings.Replace(words[2], ".", " ", 1), "%s %d", &p.Name, &p.Incarnation); err != nil {
						t.Fatal(err)
					}
				}
				var changes []change
				switch words[1] {
				case "beat":
					changes = s.heartbeat(now, beatOf(t, p, words[3:]))
				case "tick":
					changes = s.tick(now)
				case "alive":
					s.alive(now, p)
				case "lose":
					changes = s.lose(p)
				default:
					d.Fatalf(t, "what is %q?", line)
				}
				for _, c := range changes {
					fmt.Fprintf(&out, "%s %s.%d\n", changeNames[c.kind], c.peer.Name, c.peer.Incarnation)
				}
			}
			var who []string
			for _, m := range s.sorted() {
				text := fmt.Sprintf("%s.%d %v", m.beat.From.Name, m.beat.From.Incarnation, m.beat.Condition)
				if m.suspect {
					text += " suspect"
				}
				if m.canRun(runtime.Spec{Kind: runtime.Wasm}) {
					text += ", takes work"
				}
				who = append(who, text)
			}
			fmt.Fprintf(&out, "members: %s\n", strings.Join(who, "; "))
			return out.String()
		})
	})
}

var changeNames = map[changeKind]string{joined: "joined", probe: "probe", lost: "lost", left: "left", fence: "fence"}

func beatOf(t *testing.T, p wire.Peer, words []string) wire.Heartbeat {
	hb := wire.Heartbeat{From: p, Condition: wire.Up, Slots: 2, Kinds: []runtime.Kind{runtime.Wasm}}
	for _, w := range words {
		var n int
		switch w {
		case "draining":
			hb.Condition = wire.Draining
		case "left":
			hb.Condition = wire.Left
		default:
			if _, err := fmt.Sscanf(w, "f=%d", &n); err != nil {
				t.Fatalf("what is %q?", w)
			}
			for i := range n {
				hb.Natives = append(hb.Natives, runtime.Spec{Version: fmt.Sprint(i)})
			}
		}
	}
	return hb
}

// TestMembersProperties holds membership to what the rest relies on, for any order of events: an incarnation is lost or
// has left at most once, and only after it joined; whoever is over never is a member again; a fence names an
// incarnation at least as late as any that is over; whoever keeps sending heartbeats ends up a member.
func TestMembersProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newMembers(500*time.Millisecond, 3*time.Second)
		now := epoch
		here, ended := map[wire.Peer]bool{}, map[wire.Peer]bool{}
		take := func(changes []change) {
			for _, c := range changes {
				switch c.kind {
				case joined:
					if ended[c.peer] {
						rt.Fatalf("%v joined after its end", c.peer)
					}
					here[c.peer] = true
				case lost, left:
					if !here[c.peer] || ended[c.peer] {
						rt.Fatalf("%v ended, joined %v, ended before %v", c.peer, here[c.peer], ended[c.peer])
					}
					ended[c.peer] = true
				case fence:
					if m := s.byName[c.peer.Name]; m != nil && m.beat.From.Incarnation <= c.peer.Incarnation {
						rt.Fatalf("a fence of %v meets the member %v", c.peer, m.beat.From)
					}
				}
			}
			for name, m := range s.byName {
				if m.beat.From.Incarnation <= s.over[name] {
					rt.Fatalf("%v is a member, but over", m.beat.From)
				}
				if !here[m.beat.From] {
					rt.Fatalf("%v is a member that never joined", m.beat.From)
				}
			}
			for p := range here {
				if !ended[p] && !s.live(p) {
					rt.Fatalf("%v is gone without a word", p)
				}
			}
		}
		peer := func(rt *rapid.T) wire.Peer {
			return wire.Peer{Name: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "name"), Incarnation: rapid.Uint64Range(1, 4).Draw(rt, "life")}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"beat": func(rt *rapid.T) {
				hb := wire.Heartbeat{From: peer(rt), Condition: rapid.SampledFrom([]wire.Condition{wire.Up, wire.Up, wire.Draining, wire.Left}).Draw(rt, "condition")}
				take(s.heartbeat(now, hb))
			},
			"lose":  func(rt *rapid.T) { take(s.lose(peer(rt))) },
			"alive": func(rt *rapid.T) { s.alive(now, peer(rt)) },
			"tick": func(rt *rapid.T) {
				now = now.Add(rapid.SampledFrom([]time.Duration{100 * time.Millisecond, time.Second, 4 * time.Second}).Draw(rt, "after"))
				take(s.tick(now))
			},
		})
		// An executor whose clock is far behind comes back too: it takes the number of the fence plus one.
		p := wire.Peer{Name: "a", Incarnation: 1}
		for range 100 {
			now = now.Add(100 * time.Millisecond)
			take(s.tick(now))
			take(s.heartbeat(now, wire.Heartbeat{From: wire.Peer{Name: "b", Incarnation: 9}, Condition: wire.Up}))
			changes := s.heartbeat(now, wire.Heartbeat{From: p, Condition: wire.Up})
			take(changes)
			for _, c := range changes {
				if c.kind == fence && c.peer.Name == "a" && c.peer.Incarnation >= p.Incarnation {
					p.Incarnation = c.peer.Incarnation + 1
				}
			}
		}
		if !s.live(wire.Peer{Name: "b", Incarnation: 9}) {
			rt.Fatal("b.9 is no member although it sends heartbeats")
		}
		if !s.live(p) {
			rt.Fatalf("%v is no member; over is %d", p, s.over["a"])
		}
	})
}
