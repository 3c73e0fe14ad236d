package sched

import "slices"

// Peer is one life of a node.
type Peer struct {
	Name string
	Life uint64 // its incarnation
}

// Grant is what an executor has granted to one coordinator. Its numbers only grow, but for Limit, which falls when credits
// are taken back.
type Grant struct {
	To     Peer
	Limit  uint64 // the highest credit that may be spent; credits are numbered from 1
	Spent  uint64 // the highest that has arrived
	Serial uint64 // of the executor's grants: the higher one is newer
}

// mostHolders bounds the coordinators that one executor grants credits to; one is usual, two are a take-over.
const mostHolders = 8

// Ledger is an executor's book of credits: leave to send work. It grants each credit to one coordinator's life, once, so
// coordinators that know nothing of each other cannot book a slot twice:
//
//	sum over holders (Limit - Spent) + work that is here ≤ window, whenever a credit is granted
//
// The executor is the only one to say what is free, so it may take back what was not spent: a job that comes with a credit
// that was taken back is answered busy and not run. The zero Ledger has no holders. Not safe for concurrent use.
type Ledger struct {
	holders []holder
	serial  uint64
}

type holder struct {
	peer         Peer
	limit, spent uint64
}

// Claim makes a coordinator's life a holder; an earlier life of it is none any more. The holder that has been one for the
// longest goes when there are too many.
func (l *Ledger) Claim(p Peer) {
	if l.of(p) != nil || slices.ContainsFunc(l.holders, func(h holder) bool { return h.peer.Name == p.Name && h.peer.Life > p.Life }) {
		return
	}
	l.holders = slices.DeleteFunc(l.holders, func(h holder) bool { return h.peer.Name == p.Name })
	if len(l.holders) == mostHolders {
		l.holders = slices.Delete(l.holders, 0, 1)
	}
	l.holders = append(l.holders, holder{peer: p})
}

// Drop ends a holder, which is gone.
func (l *Ledger) Drop(p Peer) {
	l.holders = slices.DeleteFunc(l.holders, func(h holder) bool { return h.peer == p })
}

// Spend takes in a job that was sent with credit n; false where that credit is not, or no longer, granted: the job must not
// be run. The messages of one coordinator arrive in order.
func (l *Ledger) Spend(p Peer, n uint64) bool {
	h := l.of(p)
	if h == nil {
		return false
	}
	h.spent = max(h.spent, n)
	if n > h.limit {
		h.limit = h.spent // the number is used up, granted or not
		return false
	}
	return true
}

// Grant hands out what is free: window less the work that is here. Where nothing is free and a holder has nothing to spend
// while another has, half of that is taken back for it.
func (l *Ledger) Grant(window, work int) {
	unspent := l.Unspent()
	free := max(window-work-unspent, 0)
	if len(l.holders) == 0 {
		return
	}
	l.serial++
	for ; free > 0; free-- {
		l.poorest().limit++
	}
	for range len(l.holders) - 1 {
		p, r := l.poorest(), l.richest()
		if p.unspent() > 0 || r.unspent() == 0 {
			return
		}
		n := (r.unspent() + 1) / 2
		r.limit -= n
		p.limit += n
	}
}

// Revoke takes back all that is not spent: the slots are held by long work, and what comes now would wait behind it.
func (l *Ledger) Revoke() {
	l.serial++
	for i := range l.holders {
		l.holders[i].limit = l.holders[i].spent
	}
}

// Unspent counts the credits that are out.
func (l *Ledger) Unspent() int {
	n := uint64(0)
	for i := range l.holders {
		n += l.holders[i].unspent()
	}
	return int(n)
}

// Starved reports whether a holder has nothing to spend.
func (l *Ledger) Starved() bool {
	return slices.ContainsFunc(l.holders, func(h holder) bool { return h.unspent() == 0 })
}

// Grants lists what each holder may spend, by the last call of Grant.
func (l *Ledger) Grants() []Grant {
	out := make([]Grant, len(l.holders))
	for i, h := range l.holders {
		out[i] = Grant{To: h.peer, Limit: h.limit, Spent: h.spent, Serial: l.serial}
	}
	return out
}

func (h *holder) unspent() uint64 { return h.limit - h.spent }

func (l *Ledger) of(p Peer) *holder {
	for i := range l.holders {
		if l.holders[i].peer == p {
			return &l.holders[i]
		}
	}
	return nil
}

// poorest has the least to spend, and of those was a holder last: the later coordinator is the one that lives.
func (l *Ledger) poorest() *holder {
	out := &l.holders[len(l.holders)-1]
	for i := len(l.holders) - 2; i >= 0; i-- {
		if l.holders[i].unspent() < out.unspent() {
			out = &l.holders[i]
		}
	}
	return out
}

func (l *Ledger) richest() *holder {
	out := &l.holders[0]
	for i := range l.holders {
		if l.holders[i].unspent() > out.unspent() {
			out = &l.holders[i]
		}
	}
	return out
}
