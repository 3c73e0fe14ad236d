package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/kvs"
	"github.com/squall-faas/squall/kvs/lattice"
	"github.com/squall-faas/squall/kvs/version"
	"github.com/squall-faas/squall/value"
)

// keys says how keys stand on the command line and in tables.
type keys struct{ base64, hex bool }

func (k keys) parse(s string) (kvs.Key, error) {
	b := []byte(s)
	var err error
	switch {
	case k.base64 && k.hex:
		return "", fault.New(fault.InvalidArgument, "both --base64 and --hex: give one")
	case k.base64:
		b, err = base64.StdEncoding.DecodeString(s)
	case k.hex:
		b, err = hex.DecodeString(s)
	}
	if err != nil {
		return "", fault.New(fault.InvalidKey, "key %q: %w", s, err)
	}
	return kvs.Key(b), nil
}

func (k keys) show(key kvs.Key) string {
	switch {
	case k.base64:
		return base64.StdEncoding.EncodeToString([]byte(key))
	case k.hex:
		return hex.EncodeToString([]byte(key))
	case strconv.Quote(string(key)) == `"`+string(key)+`"`:
		return string(key)
	}
	return strconv.Quote(string(key))
}

// jsonKey is a key in JSON: a string, or {"$bytes": base64} where it is not UTF-8.
type jsonKey kvs.Key

// MarshalJSON gives that form.
func (k jsonKey) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(k)) {
		return json.Marshal(string(k))
	}
	return json.Marshal(map[string][]byte{"$bytes": []byte(k)})
}

// entryView is a key with its value.
type entryView struct {
	Key      jsonKey        `json:"key"`
	Revision uint64         `json:"revision,omitempty"`
	Written  *time.Time     `json:"written,omitempty"`
	Expires  *time.Time     `json:"expires,omitempty"`
	Deleted  bool           `json:"deleted,omitempty"`
	Value    *value.Value   `json:"value,omitempty"`
	Siblings *[]value.Value `json:"siblings,omitempty"`
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func viewOfEntry(e kvs.Entry) entryView {
	v := entryView{
		Key: jsonKey(e.Key), Revision: uint64(e.Revision), Deleted: e.Deleted, Written: moment(e.Written), Expires: moment(e.Expires),
	}
	if !e.Deleted {
		v.Value = &e.Value
	}
	return v
}

func (a *app) kvCommand() *cobra.Command {
	k := &keys{}
	c := group("kv", "Read and write state", a.kvGet(k), a.kvPut(k), a.kvUpdate(k), a.kvDelete(k), a.kvList(k), a.kvWatch(k))
	f := c.PersistentFlags()
	f.BoolVar(&k.base64, "base64", false, "keys stand in base64, for those that a command line cannot hold")
	f.BoolVar(&k.hex, "hex", false, "keys stand in hexadecimal")
	return c
}

func (a *app) kvGet(k *keys) *cobra.Command {
	var level levelFlag
	var all bool
	cmd := &cobra.Command{
		Use: "get KEY", Short: "Print a value; with -o json with its revision", Args: cobra.ExactArgs(1),
		Example: "  squall kv get answer\n  squall kv get balance --consistency strong\n  squall kv get cart --siblings",
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			key, err := k.parse(args[0])
			if err != nil {
				return err
			}
			v, err := c.Version(ctx, string(key), client.Consistency(client.Level(level)))
			if err != nil {
				return err
			}
			view := viewOfEntry(kvs.Entry{Key: key, Value: v.Value, Revision: v.Revision, Written: v.Written, Expires: v.Expires})
			siblings := []value.Value{v.Value}
			if all {
				siblings = v.Siblings()
				view.Value, view.Siblings = nil, &siblings
			}
			if a.set.Output != "table" {
				return a.printJSON(view)
			}
			for _, v := range siblings {
				if err := a.printValue(v); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	f := cmd.Flags()
	f.Var(&level, "consistency", "`level`; strong and txn prove that the value is current, the others read what the store answers: "+levelNames())
	f.BoolVar(&all, "siblings", false, "all values that were written concurrently at a causal level, the one that get prints without it first")
	return cmd
}

func (a *app) kvPut(k *keys) *cobra.Command {
	var text, create bool
	var ttl time.Duration
	var revision uint64
	var level levelFlag
	var ack ackFlag
	cmd := &cobra.Command{
		Use: "put KEY VALUE", Short: "Write a value", Args: cobra.ExactArgs(2), Long: argumentsHelp,
		Example: "  squall kv put answer 42\n  squall kv put greeting --string hello --ttl 1h\n  tar c . | squall kv put backup -\n  squall kv put cart '[\"bread\"]' --consistency sk",
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			key, err := k.parse(args[0])
			if err != nil {
				return err
			}
			v, err := a.argument(args[1], text)
			if err != nil {
				return err
			}
			opts := []client.KVOption{client.Consistency(client.Level(level)), client.WriteAck(kvs.Ack(ack)), client.TTL(ttl), client.IfRevision(kvs.Revision(revision))}
			if create {
				opts = append(opts, client.Create())
			}
			if create && revision != 0 {
				return fault.New(fault.InvalidArgument, "both --create and --if-revision: give one")
			}
			r, err := c.Write(ctx, string(key), v, opts...)
			if err != nil {
				return err
			}
			return a.printObject(entryView{Key: jsonKey(key), Revision: uint64(r)}, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, r)
				return err
			})
		}),
	}
	f := cmd.Flags()
	f.BoolVar(&text, "string", false, "the value is text as it stands")
	f.BoolVar(&create, "create", false, "only if the key does not exist")
	f.Uint64Var(&revision, "if-revision", 0, "only if the key's revision is this one")
	f.DurationVar(&ttl, "ttl", 0, "after which the key goes away; 0 keeps it")
	f.Var(&level, "consistency", "`level`; at sk, mk and dsc the value stands beside what is there, unless --if-revision names that: "+levelNames())
	f.Var(&ack, "ack", "`cached`, stored or durable; here the value is durable in any case before its revision is printed")
	return cmd
}

func (a *app) kvUpdate(k *keys) *cobra.Command {
	var ttl time.Duration
	var level levelFlag
	var once string
	cmd := &cobra.Command{
		Use: "update KEY OPERATION…", Short: "Change a counter, set, map, maximum or minimum, and print it", Args: cobra.MinimumNArgs(2),
		Long: `Operations of several writers merge, and each counts once. The first on a key that does not exist decides what it holds.

  add N                    a counter; N may be negative, after --
  insert VALUE             a set
  remove VALUE             from a set
  grow VALUE               a set that only grows
  max VALUE, min VALUE     the greatest or least of numbers, or of texts
  field NAME OPERATION…    a field of a map
  remove-field NAME        from a map

A value is JSON, or text as it stands where it is no JSON.`,
		Example: "  squall kv update visits add 1\n  squall kv update visits -- add -1\n  squall kv update tags insert blue\n  squall kv update page field hits add 1",
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			key, err := k.parse(args[0])
			if err != nil {
				return err
			}
			op, err := lattice.ParseOp(args[1:]...)
			if err != nil {
				return err
			}
			opts := []client.KVOption{client.Consistency(client.Level(level)), client.TTL(ttl)}
			if once != "" {
				opts = append(opts, client.IdempotencyKey(once))
			}
			v, err := c.Update(ctx, string(key), op, opts...)
			if err != nil {
				return err
			}
			if a.set.Output == "table" {
				return a.printValue(v)
			}
			return a.printJSON(entryView{Key: jsonKey(key), Value: &v})
		}),
	}
	f := cmd.Flags()
	f.DurationVar(&ttl, "ttl", 0, "after which the key goes away; 0 leaves it as it is")
	f.Var(&level, "consistency", "`level`: "+levelNames())
	f.StringVar(&once, "idempotency-key", "", "updates of one key with this are one")
	return cmd
}

func (a *app) kvDelete(k *keys) *cobra.Command {
	var revision uint64
	var level levelFlag
	cmd := &cobra.Command{
		Use: "del KEY…", Short: "Delete keys; one that is not there is no error", Args: cobra.MinimumNArgs(1),
		Example: "  squall kv del answer greeting\n  squall kv del cart --consistency sk --if-revision 7",
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			if l := client.Level(level); l.Causal() && revision == 0 { // a command has read nothing, so nothing would go
				return fault.New(fault.InvalidArgument, "a delete at level %s removes what was read of the key: say with --if-revision what that is, or delete at level lww", l)
			}
			for _, s := range args {
				key, err := k.parse(s)
				if err != nil {
					return err
				}
				if err := c.Delete(ctx, string(key), client.Consistency(client.Level(level)), client.IfRevision(kvs.Revision(revision))); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	f := cmd.Flags()
	f.Uint64Var(&revision, "if-revision", 0, "only if the key's revision is this one")
	f.Var(&level, "consistency", "`level`; at sk, mk and dsc --if-revision must name what is deleted: "+levelNames())
	return cmd
}

// prefix is the optional argument of ls and watch.
func (k keys) prefix(args []string) (kvs.Key, error) {
	if len(args) == 0 {
		return "", nil
	}
	return k.parse(args[0])
}

func (a *app) kvList(k *keys) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "ls [PREFIX]", Short: "List keys, in no stated order", Args: cobra.MaximumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			prefix, err := k.prefix(args)
			if err != nil {
				return err
			}
			t := table{header: []string{"KEY"}}
			for cursor := ""; ; {
				page, err := c.Store().List(ctx, prefix, cursor, min(max(limit-len(t.rows), 1), 1000))
				if err != nil {
					return err
				}
				for _, key := range page.Keys {
					t.add(jsonKey(key), k.show(key))
				}
				if cursor = page.Next; cursor == "" || len(t.rows) >= limit {
					return a.print(t)
				}
			}
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 10_000, "keys at most")
	return cmd
}

func (a *app) kvWatch(k *keys) *cobra.Command {
	var count int
	cmd := &cobra.Command{
		Use: "watch [PREFIX]", Short: "Print changes as they happen, one on a line", Args: cobra.MaximumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			prefix, err := k.prefix(args)
			if err != nil {
				return err
			}
			changes, err := c.Store().Watch(ctx, prefix)
			if err != nil {
				return err
			}
			a.say("watching; Ctrl-C ends it\n")
			if a.set.Output == "json" {
				a.set.Output = "jsonl" // there is no end at which a list could be closed
			}
			for e := range changes {
				if err := a.printChange(*k, e); err != nil {
					return err
				}
				if count--; count == 0 {
					return nil
				}
			}
			if context.Cause(ctx) == nil {
				return fault.New(fault.Unavailable, "the watch was lost: list what you need and watch again")
			}
			return nil // asked to end
		}),
	}
	cmd.Flags().IntVar(&count, "count", 0, "end after as many changes; 0 is never")
	return cmd
}

func (a *app) printChange(k keys, e kvs.Entry) error {
	shown, err := version.Shown(e)
	if err != nil { // of one key: the others go on
		shown.Value = value.MustOf("(" + fault.From(err).Message + ")")
	}
	return a.printObject(viewOfEntry(shown), func(w io.Writer) error {
		what := "put " + k.show(e.Key) + " " + forLine(shown.Value)
		if shown.Deleted {
			what = "del " + k.show(e.Key)
		}
		_, err := fmt.Fprintf(w, "%d %s\n", e.Revision, what)
		return err
	})
}
