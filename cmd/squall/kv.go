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
	Key      jsonKey      `json:"key"`
	Revision uint64       `json:"revision"`
	Written  *time.Time   `json:"written,omitempty"`
	Deleted  bool         `json:"deleted,omitempty"`
	Value    *value.Value `json:"value,omitempty"`
}

func viewOfEntry(e kvs.Entry) entryView {
	v := entryView{Key: jsonKey(e.Key), Revision: uint64(e.Revision), Deleted: e.Deleted}
	if !e.Written.IsZero() {
		t := e.Written.UTC()
		v.Written = &t
	}
	if !e.Deleted {
		v.Value = &e.Value
	}
	return v
}

func (a *app) kvCommand() *cobra.Command {
	k := &keys{}
	c := group("kv", "Read and write state", a.kvGet(k), a.kvPut(k), a.kvDelete(k), a.kvList(k), a.kvWatch(k))
	f := c.PersistentFlags()
	f.BoolVar(&k.base64, "base64", false, "keys stand in base64, for those that a command line cannot hold")
	f.BoolVar(&k.hex, "hex", false, "keys stand in hexadecimal")
	return c
}

func (a *app) kvGet(k *keys) *cobra.Command {
	return &cobra.Command{
		Use: "get KEY", Short: "Print a value; with -o json with its revision", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			key, err := k.parse(args[0])
			if err != nil {
				return err
			}
			e, err := c.Store().Get(ctx, key)
			if err != nil {
				return err
			}
			if a.set.Output == "table" {
				return a.printValue(e.Value)
			}
			e.Key = key
			return a.printJSON(viewOfEntry(e))
		}),
	}
}

func (a *app) kvPut(k *keys) *cobra.Command {
	var text, create bool
	var ttl time.Duration
	var revision uint64
	cmd := &cobra.Command{
		Use: "put KEY VALUE", Short: "Write a value", Args: cobra.ExactArgs(2), Long: argumentsHelp,
		Example: "  squall kv put answer 42\n  squall kv put greeting --string hello --ttl 1h\n  tar c . | squall kv put backup -",
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			key, err := k.parse(args[0])
			if err != nil {
				return err
			}
			v, err := a.argument(args[1], text)
			if err != nil {
				return err
			}
			var r kvs.Revision
			o := kvs.PutOptions{TTL: ttl}
			switch {
			case create && revision != 0:
				return fault.New(fault.InvalidArgument, "both --create and --if-revision: give one")
			case create || revision != 0:
				r, err = c.Store().CompareAndSet(ctx, key, v, kvs.Revision(revision), o)
			default:
				r, err = c.Store().Put(ctx, key, v, o)
			}
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
	return cmd
}

func (a *app) kvDelete(k *keys) *cobra.Command {
	var revision uint64
	cmd := &cobra.Command{
		Use: "del KEY…", Short: "Delete keys; one that is not there is no error", Args: cobra.MinimumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			for _, s := range args {
				key, err := k.parse(s)
				if err != nil {
					return err
				}
				if err := c.Store().Delete(ctx, key, kvs.Revision(revision)); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	cmd.Flags().Uint64Var(&revision, "if-revision", 0, "only if the key's revision is this one")
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
	return a.printObject(viewOfEntry(e), func(w io.Writer) error {
		what := "put " + k.show(e.Key) + " " + forLine(e.Value)
		if e.Deleted {
			what = "del " + k.show(e.Key)
		}
		_, err := fmt.Fprintf(w, "%d %s\n", e.Revision, what)
		return err
	})
}
