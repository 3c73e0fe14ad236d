package link

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"
)

var epoch = time.Unix(1000, 0)

// payloads are cut from one slice: the state machine looks at lengths only.
var payload = make([]byte, windowBytes+1)

// TestOutboundScripts drives the sending half with the scripts of testdata/outbound. Each line of a script is one
// step: "at 300ms" moves the clock, "push 3" or "push 2 x 4MiB" takes messages in, "ack 2", "gone" and "tick" are what
// they are called; below come the frames to transmit, "lost", and the state that is left.
func TestOutboundScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/outbound", func(t *testing.T, path string) {
		var o outbound
		now := epoch
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			for line := range strings.Lines(d.Input) {
				line = strings.TrimSpace(line)
				fmt.Fprintf(&out, "> %s\n", line)
				var n, size int
				var after string
				switch {
				case scan(line, "at %s", &after):
					d, err := time.ParseDuration(after)
					if err != nil {
						t.Fatal(err)
					}
					now = epoch.Add(d)
				case scan(line, "push %d x %dMiB", &n, &size):
					show(&out, pushed(&o, n, size<<20, now))
				case scan(line, "push %d", &n):
					show(&out, pushed(&o, n, 10, now))
				case scan(line, "ack %d", &n):
					show(&out, o.acked(uint64(n), now))
				case line == "gone":
					o.gone(now)
				case line == "tick":
					again, lost := o.tick(now)
					show(&out, again)
					if lost {
						out.WriteString("lost\n")
					}
				default:
					d.Fatalf(t, "what is %q?", line)
				}
			}
			fmt.Fprintf(&out, "kept %d, on the way %d with %d bytes\n", len(o.frames), o.sent, o.bytes)
			return out.String()
		})
	})
}

func scan(line, format string, to ...any) bool {
	n, err := fmt.Sscanf(line, format, to...)
	return err == nil && n == len(to)
}

func pushed(o *outbound, n, size int, now time.Time) (sent []frame) {
	for range n {
		sent = append(sent, o.push(payload[:size], now)...)
	}
	return sent
}

func show(out *strings.Builder, frames []frame) {
	if len(frames) == 0 {
		return
	}
	first, last := frames[0].seq, frames[len(frames)-1].seq
	for i, f := range frames {
		if f.seq != first+uint64(i) {
			fmt.Fprintf(out, "frame %d is out of line\n", f.seq)
		}
	}
	if first == last {
		fmt.Fprintf(out, "transmit %d\n", first)
		return
	}
	fmt.Fprintf(out, "transmit %d to %d\n", first, last)
}

// packet is a frame or an acknowledgement on its way in a simulated network.
type packet struct {
	ack bool
	seq uint64
	id  int // what the frame carries
}

// pair is two halves of a link with a network between that does what a property draws.
type pair struct {
	rt       *rapid.T
	out      outbound
	in       inbound
	now      time.Time
	way      []packet
	ids      map[uint64]int // by seq
	pushed   int
	arrived  int
	acksSeen time.Time // when an acknowledgement came last, or the first unacknowledged message was pushed
}

func (p *pair) transmit(frames []frame) {
	for _, f := range frames {
		p.way = append(p.way, packet{seq: f.seq, id: p.ids[f.seq]})
	}
}

func (p *pair) push(size int) {
	if len(p.out.frames) == 0 {
		p.acksSeen = p.now
	}
	p.pushed++
	p.ids[p.out.next+1] = p.pushed
	p.transmit(p.out.push(payload[:size], p.now))
}

// arrive takes the packet at i off the way and hands it over.
func (p *pair) arrive(i int, keep bool) {
	x := p.way[i]
	if !keep {
		p.way = append(p.way[:i], p.way[i+1:]...)
	}
	if x.ack {
		p.acksSeen = p.now
		p.transmit(p.out.acked(x.seq, p.now))
		return
	}
	if p.in.take(x.seq) {
		p.arrived++
		if x.id != p.arrived {
			p.rt.Fatalf("message %d arrived as number %d", x.id, p.arrived)
		}
	}
	if p.in.due > 0 { // the shell acknowledges within 10 ms
		p.in.due = 0
		p.way = append(p.way, packet{ack: true, seq: p.in.last})
	}
}

func (p *pair) tick(after time.Duration) (lost bool) {
	p.now = p.now.Add(after)
	again, lost := p.out.tick(p.now)
	p.transmit(again)
	return lost
}

func (p *pair) check() {
	if p.out.sent > windowFrames {
		p.rt.Fatalf("%d frames are on the way", p.out.sent)
	}
	bytes := 0
	for _, f := range p.out.frames[:p.out.sent] {
		bytes += len(f.data)
	}
	if bytes != p.out.bytes || bytes > windowBytes && p.out.sent > 1 {
		p.rt.Fatalf("%d bytes are on the way in %d frames, counted as %d", bytes, p.out.sent, p.out.bytes)
	}
	if len(p.out.frames) > 0 && p.out.sent == 0 {
		p.rt.Fatalf("%d messages are kept and none is on the way", len(p.out.frames))
	}
}

// TestExactlyOnceInOrder holds the two halves to the promise of the package, whatever the network does to packets.
func TestExactlyOnceInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := &pair{rt: rt, now: epoch, ids: map[uint64]int{}}
		index := func() int { return rapid.IntRange(0, len(p.way)-1).Draw(rt, "packet") }
		rt.Repeat(map[string]func(*rapid.T){
			"push": func(rt *rapid.T) {
				size := rapid.SampledFrom([]int{0, 1, 1000, windowBytes / 3, windowBytes + 1}).Draw(rt, "size")
				for range rapid.SampledFrom([]int{1, 1, 5, 200}).Draw(rt, "count") {
					p.push(size)
				}
			},
			"arrive": func(rt *rapid.T) {
				if len(p.way) > 0 {
					p.arrive(index(), false)
				}
			},
			"arriveInOrder": func(rt *rapid.T) {
				for range min(len(p.way), rapid.IntRange(1, 50).Draw(rt, "count")) {
					p.arrive(0, false)
				}
			},
			"arriveTwice": func(rt *rapid.T) {
				if len(p.way) > 0 {
					p.arrive(index(), true)
				}
			},
			"drop": func(rt *rapid.T) {
				if len(p.way) > 0 {
					i := index()
					p.way = append(p.way[:i], p.way[i+1:]...)
				}
			},
			"tick": func(rt *rapid.T) {
				silent := p.now.Sub(p.acksSeen)
				after := 100 * time.Millisecond
				if lost := p.tick(after); lost && silent+after < silentAfter {
					rt.Fatalf("lost after %v without an acknowledgement", silent+after)
				} else if !lost && p.out.sent > 0 && silent+after >= silentAfter {
					rt.Fatalf("not lost after %v without an acknowledgement", silent+after)
				}
				p.acksSeen = p.now.Add(-min(silent+after, silentAfter/2)) // do not let it be lost for good
				p.out.since = p.acksSeen
			},
			"": func(*rapid.T) { p.check() },
		})
		// From now on nothing is lost any more, so everything arrives, and soon.
		for round := 0; len(p.out.frames) > 0; round++ {
			if round > p.pushed+10 {
				rt.Fatalf("%d of %d messages are not acknowledged after %d rounds", len(p.out.frames), p.pushed, round)
			}
			for len(p.way) > 0 {
				p.arrive(0, false)
			}
			if p.tick(100 * time.Millisecond) {
				rt.Fatal("lost although everything arrives")
			}
			p.check()
		}
		if p.arrived != p.pushed {
			rt.Fatalf("%d of %d messages arrived", p.arrived, p.pushed)
		}
	})
}
