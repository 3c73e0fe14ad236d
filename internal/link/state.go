package link

import "time"

// Bounds of one link.
const (
	windowFrames = 1024
	windowBytes  = 8 << 20
	burst        = 64 // frames sent again at once

	resendAfter = 250 * time.Millisecond // an acknowledgement is due within 10 ms; the rest is for a stalled host
	goneAfter   = 600 * time.Millisecond // of "no responders": longer than a reconnect takes
	silentAfter = 4 * time.Second        // of no acknowledgement at all: longer than a stalled process is worth waiting for
)

// frame is one message on its way.
type frame struct {
	seq  uint64
	data []byte
	sent time.Time // zero while it waits for the window
}

// outbound is the sending half of a link: pure, driven by its caller's clock.
type outbound struct {
	frames  []frame // unacknowledged, by seq; the first inFlight of them have been sent
	next    uint64  // seq of the next message
	sent    int     // how many of frames are on the way
	bytes   int     // how many bytes those have
	since   time.Time
	noReply time.Time // since when the transport finds nobody; zero while it does
}

// push takes a message in and returns the frames to transmit now.
func (o *outbound) push(data []byte, now time.Time) []frame {
	o.next++
	if len(o.frames) == 0 {
		o.since, o.noReply = now, time.Time{} // what was said of frames that have arrived says nothing of this one
	}
	o.frames = append(o.frames, frame{seq: o.next, data: data})
	return o.open(now)
}

// open sends what the window allows.
func (o *outbound) open(now time.Time) []frame {
	from := o.sent
	for o.sent < len(o.frames) && o.sent < windowFrames && (o.sent == 0 || o.bytes+len(o.frames[o.sent].data) <= windowBytes) {
		o.bytes += len(o.frames[o.sent].data)
		o.frames[o.sent].sent = now
		o.sent++
	}
	return o.frames[from:o.sent]
}

// acked drops what has arrived and returns the frames that the window now allows.
func (o *outbound) acked(seq uint64, now time.Time) []frame {
	n := 0
	for n < o.sent && o.frames[n].seq <= seq {
		o.bytes -= len(o.frames[n].data)
		o.frames[n] = frame{}
		n++
	}
	o.frames = o.frames[n:]
	o.sent -= n
	o.since, o.noReply = now, time.Time{}
	return o.open(now)
}

// gone notes that the transport found nobody at the peer's inbox.
func (o *outbound) gone(now time.Time) {
	if o.noReply.IsZero() {
		o.noReply = now
	}
}

// tick returns the frames to send again, and whether the peer is lost.
func (o *outbound) tick(now time.Time) (again []frame, lost bool) {
	if o.sent == 0 {
		return nil, false
	}
	if !o.noReply.IsZero() && now.Sub(o.noReply) >= goneAfter || now.Sub(o.since) >= silentAfter {
		return nil, true
	}
	if now.Sub(o.frames[0].sent) < resendAfter {
		return nil, false
	}
	again = o.frames[:min(o.sent, burst)]
	for i := range again {
		again[i].sent = now
	}
	return again, false
}

// inbound is the receiving half: pure.
type inbound struct {
	last uint64 // highest seq delivered
	due  int    // frames since the last acknowledgement
}

// take decides whether a frame is the next one; a repeated or early one is dropped but makes an acknowledgement due.
func (i *inbound) take(seq uint64) bool {
	i.due++
	if seq != i.last+1 {
		return false
	}
	i.last = seq
	return true
}
