package kvs

import (
	"time"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// What every Store checks before it does anything, in one place so that all refuse the same in the same words.

// CheckValue encodes v if it is live, so that its Size is exact, and refuses as too_large what is over MaxValue.
func CheckValue(v value.Value) (value.Value, error) {
	v, err := v.Measure()
	if err != nil {
		return v, fault.From(err)
	}
	if n := v.Size(); n > MaxValue {
		return v, fault.New(fault.TooLarge, "the value has %d bytes: at most %d (1 GiB) fit under one key; split it over several", n, MaxValue)
	}
	return v, nil
}

// Lifetime is TTL in whole seconds, rounded up; 0 means for ever. A negative TTL is invalid_argument.
func (o PutOptions) Lifetime() (time.Duration, error) {
	if o.TTL < 0 {
		return 0, fault.New(fault.InvalidArgument, "the TTL is %v: give a positive one, or 0 to keep the key", o.TTL)
	}
	if o.TTL == 0 {
		return 0, nil
	}
	return (o.TTL + time.Second - 1).Truncate(time.Second), nil
}

// CheckLimit refuses as invalid_argument a page size outside 1 to MaxPage.
func CheckLimit(limit int) error {
	if limit < 1 || limit > MaxPage {
		return fault.New(fault.InvalidArgument, "a page of %d keys: ask for 1 to %d", limit, MaxPage)
	}
	return nil
}

// BadCursor is what List answers to a cursor that it did not make.
func BadCursor() error {
	return fault.New(fault.InvalidArgument, "the cursor is not one that this store gave: begin the listing again without one")
}

// Check is what every Store checks of one write before it does anything: key, value, Meta and TTL. The Write that it
// gives has an encoded value; life is as of Lifetime.
func (w Write) Check() (checked Write, life time.Duration, err error) {
	if err := w.Key.Check(); err != nil {
		return w, 0, err
	}
	if n := len(w.Options.Meta); n > MaxMeta {
		return w, 0, fault.New(fault.TooLarge, "the meta data of key %.64q has %d bytes: at most %d are allowed; put what is longer into the value", string(w.Key), n, MaxMeta)
	}
	if w.Delete {
		w.Value, w.Options.TTL = value.Value{}, 0
		return w, 0, nil
	}
	if w.Value, err = CheckValue(w.Value); err != nil {
		return w, 0, err
	}
	life, err = w.Options.Lifetime()
	return w, life, err
}

// CheckBatch refuses as invalid_argument writes two of which are of one key: their order would be nobody's.
func CheckBatch(writes []Write) error {
	seen := make(map[Key]struct{}, len(writes))
	for _, w := range writes {
		if _, twice := seen[w.Key]; twice {
			return fault.New(fault.InvalidArgument, "key %.64q is written twice in one batch: keep the later write", string(w.Key))
		}
		seen[w.Key] = struct{}{}
	}
	return nil
}

// CheckCommit is what every Store checks of a Commit: its size, that no key comes twice, and that all are of one slot.
// It gives the writes as Write.Check does, and how long their values live.
func CheckCommit(slot func(Key) int, writes []Write, checks []Check) (checked []Write, lives []time.Duration, err error) {
	if n := len(writes) + len(checks); n > MaxBatch {
		return nil, nil, fault.New(fault.InvalidArgument, "a commit of %d writes and checks: at most %d are allowed", n, MaxBatch)
	}
	if err := CheckBatch(writes); err != nil {
		return nil, nil, err
	}
	written := make(map[Key]struct{}, len(writes))
	first := Key("")
	same := func(key Key) error {
		if first == "" {
			first = key
		}
		if slot(key) != slot(first) {
			return fault.New(fault.InvalidArgument, "keys %.64q and %.64q are of different slots: give those that are committed together the same {tag}", string(first), string(key))
		}
		return nil
	}
	for _, w := range writes {
		w, life, err := w.Check()
		if err == nil {
			err = same(w.Key)
		}
		if err != nil {
			return nil, nil, err
		}
		written[w.Key] = struct{}{}
		checked, lives = append(checked, w), append(lives, life)
	}
	for _, c := range checks {
		err := c.Key.Check()
		if err == nil {
			err = same(c.Key)
		}
		if _, both := written[c.Key]; both && err == nil {
			err = fault.New(fault.InvalidArgument, "key %.64q is both written and checked: put the expectation into the write", string(c.Key))
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return checked, lives, nil
}

// CheckKeys refuses as invalid_key what Key.Check refuses.
func CheckKeys(keys []Key) error {
	for _, key := range keys {
		if err := key.Check(); err != nil {
			return err
		}
	}
	return nil
}

// Overtaken is what a write answers whose fence was raised again.
func Overtaken(writer string) error {
	return fault.New(fault.Fenced, "writer %q was fenced off: others do its work now; drop what it had to write, and ask for a new fence", writer)
}

// FeedClosed is what Add answers after the feed was closed or lost.
func FeedClosed() error {
	return fault.New(fault.Unavailable, "the feed is closed: follow again, and ask for news of what you hold")
}
