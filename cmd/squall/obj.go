package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
	"github.com/squall-faas/squall/kvs"
)

func (a *app) objCommand() *cobra.Command {
	return group("obj", "Large objects in memory that idle executors lend", a.objPut(), a.objGet(), a.objList(), a.objStat(), a.objRemove())
}

// withObjects is with for commands on objects.
func (a *app) withObjects(do func(ctx context.Context, o *client.Objects, args []string) error) func(*cobra.Command, []string) error {
	return a.with(func(ctx context.Context, c *client.Client, args []string) error {
		o, err := c.Objects(ctx)
		if err != nil {
			return err
		}
		return do(ctx, o, args)
	})
}

// bar shows how many bytes have passed, where people watch; size is -1 where it is not known.
func (a *app) bar(size int64, what string) io.Writer {
	f, ok := a.errs.(*os.File)
	if !ok {
		return io.Discard
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return io.Discard
	}
	return progressbar.NewOptions64(size, progressbar.OptionSetWriter(f), progressbar.OptionSetDescription(what), progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))
}

func (a *app) objPut() *cobra.Command {
	var opts client.ObjectOptions
	var create bool
	cmd := &cobra.Command{
		Use: "put KEY FILE", Short: "Put a file, or - for the standard input, under a key", Args: cobra.ExactArgs(2),
		Example: "  squall obj put model.bin ./model.bin\n  tar c . | squall obj put backup - --stored --ttl 24h\n  squall obj put frame ./frame.raw --code 4+2",
		RunE: a.withObjects(func(ctx context.Context, o *client.Objects, args []string) error {
			in, size := a.in, int64(-1)
			if args[1] != "-" {
				f, err := os.Open(args[1])
				if err != nil {
					return fault.New(fault.InvalidArgument, "the object's file: %w", err)
				}
				defer func() { _ = f.Close() }() // it was only read
				if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
					size = info.Size()
				}
				in = f
			}
			if create {
				opts.IfSeq = new(uint64)
			}
			i, err := o.Put(ctx, args[0], io.TeeReader(in, a.bar(size, args[0])), opts)
			if err != nil {
				return err
			}
			return a.printObject(i, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%d bytes as %v, version %d\n", i.Size, i.Code, i.Seq)
				return err
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&opts.Code, "code", "", "data and parity shards, `d+p`: any d of them give the object back (default by its size and the lenders)")
	f.DurationVar(&opts.TTL, "ttl", 0, "after which the object goes away; 0 keeps it")
	f.BoolVar(&opts.Stored, "stored", false, "in the store as well: it survives the loss of every lender")
	f.StringVar(&opts.ContentType, "type", "", "content type, kept beside the object")
	f.BoolVar(&create, "create", false, "only if there is no such object")
	return cmd
}

func (a *app) objGet() *cobra.Command {
	var out string
	var offset, length int64
	cmd := &cobra.Command{
		Use: "get KEY", Short: "Write an object, or a range of it, to the standard output or a file", Args: cobra.ExactArgs(1),
		Example: "  squall obj get model.bin > model.bin\n  squall obj get model.bin --offset 1048576 --length 4096 | xxd",
		RunE: a.withObjects(func(ctx context.Context, o *client.Objects, args []string) error {
			size := length
			if size < 0 {
				i, err := o.Head(ctx, args[0])
				if err != nil {
					return err
				}
				size = max(i.Size-offset, 0)
			}
			fetch := func(w io.Writer) error {
				_, err := o.GetRange(ctx, args[0], offset, length, io.MultiWriter(w, a.bar(size, args[0])))
				return err
			}
			if out == "" {
				return fetch(a.out)
			}
			return replaceFile(out, fetch)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&out, "file", "", "`path` to write to, in the place of what is there once all has come")
	f.Int64Var(&offset, "offset", 0, "first byte")
	f.Int64Var(&length, "length", -1, "bytes; a negative number is all that follow")
	return cmd
}

// replaceFile has write fill a file, which takes the place of what is at path once it is whole: until then, and after an error,
// that stays as it is.
func replaceFile(path string, write func(io.Writer) error) error {
	// Beside it: a rename does not leave a file system.
	f, err := os.OpenFile(filepath.Join(filepath.Dir(path), ".squall-obj-"+id.Token(12)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		if err := write(f); err != nil {
			_, _ = f.Close(), os.Remove(f.Name()) // it is no use to anybody
			return err
		}
		if old, e := os.Stat(path); e == nil {
			err = f.Chmod(old.Mode().Perm())
		}
		if err = errors.Join(err, f.Close()); err == nil {
			err = os.Rename(f.Name(), path)
		}
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}
	if err != nil {
		return fault.New(fault.InvalidArgument, "file for the object: %w", err)
	}
	return nil
}

func (a *app) objList() *cobra.Command {
	return &cobra.Command{
		Use: "ls [PREFIX]", Aliases: []string{"list"}, Short: "List objects", Args: cobra.MaximumNArgs(1),
		RunE: a.withObjects(func(ctx context.Context, o *client.Objects, args []string) error {
			prefix := ""
			if len(args) > 0 {
				prefix = args[0]
			}
			var names []string
			for cursor := ""; ; {
				page, next, err := o.List(ctx, prefix, cursor, 1000)
				if err != nil {
					return err
				}
				names = append(names, page...)
				if cursor = next; cursor == "" {
					break
				}
			}
			slices.Sort(names)
			t := table{header: []string{"KEY", "SIZE", "CODE", "STORED", "WRITTEN"}}
			for _, name := range names {
				i, err := o.Head(ctx, name)
				if fault.Is(err, fault.NotFound) { // it went meanwhile
					continue
				}
				if err != nil {
					return err
				}
				t.add(i, keys{}.show(kvs.Key(i.Key)), strconv.FormatInt(i.Size, 10), i.Code.String(), strconv.FormatBool(i.Stored), i.Written.Format(time.RFC3339))
			}
			return a.print(t)
		}),
	}
}

func (a *app) objStat() *cobra.Command {
	return &cobra.Command{
		Use: "stat KEY", Short: "Show where an object's shards are, and what may go before it is missed", Args: cobra.ExactArgs(1),
		RunE: a.withObjects(func(ctx context.Context, o *client.Objects, args []string) error {
			s, err := o.Stat(ctx, args[0])
			if err != nil {
				return err
			}
			return a.printObject(s, func(w io.Writer) error {
				if _, err := fmt.Fprintf(w, "%d bytes as %v, version %d, written %s\n%s\n\n", s.Size, s.Code, s.Seq, s.Written.Format(time.RFC3339), mayGo(s)); err != nil {
					return err
				}
				rows := [][]string{}
				for _, x := range s.Shards {
					what := "data"
					if x.Parity {
						what = "parity"
					}
					rows = append(rows, []string{strconv.Itoa(x.Column), what, x.Lender, x.Host, strconv.FormatInt(x.Bytes, 10), x.State})
				}
				return printTable(w, []string{"SHARD", "", "LENDER", "HOST", "BYTES", "STATE"}, rows)
			})
		}),
	}
}

func mayGo(s client.ObjectStat) string {
	switch {
	case s.Stored:
		return "in the store as well: it is not missed, whatever goes"
	case s.Lenders < 0:
		return "too few shards are left: it is a miss"
	}
	return fmt.Sprintf("%s and %s may go before it is a miss", anyOf(s.Lenders, "lender"), anyOf(s.Hosts, "host"))
}

// anyOf says that whichever n of some may go.
func anyOf(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "any " + what
	}
	return fmt.Sprintf("any %d %ss", n, what)
}

func (a *app) objRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm KEY…", Aliases: []string{"delete"}, Short: "Remove objects", Args: cobra.MinimumNArgs(1),
		RunE: a.withObjects(func(ctx context.Context, o *client.Objects, args []string) error {
			for _, key := range args {
				if err := o.Delete(ctx, key); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}
