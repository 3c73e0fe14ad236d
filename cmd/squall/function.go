package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/fault"
)

func (a *app) fnCommand() *cobra.Command {
	return group("fn", "Register and list functions", a.fnPut(), a.fnList(), a.fnRemove())
}

func (a *app) fnPut() *cobra.Command {
	var wasm, dir, symbol, application string
	var memory, output byteSize
	var wall time.Duration
	var slots int
	cmd := &cobra.Command{
		Use: "put NAME (--wasm FILE | --go DIR --symbol FUNC)", Short: "Register a function, or a new version of it",
		Long: `Registers a WebAssembly module, or builds one of a func of a Go package: running calls keep their version, later ones
get the new one. Go funcs that run natively are registered by the programs that define them (squall.Join).`,
		Example: "  squall fn put count --go ./count --symbol Count --call-timeout 10s\n  squall fn put resize --wasm resize.wasm --memory 512MiB",
		Args:    cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			impl, err := a.implementation(wasm, dir, symbol)
			if err != nil {
				return err
			}
			if wall < 0 || slots < 0 {
				return fault.New(fault.InvalidArgument, "a limit is negative: give a positive one, or 0 for the default")
			}
			impl = impl.WithTimeout(wall).WithMemory(int64(memory)).WithOutput(int64(output)).WithConcurrency(slots)
			spec, err := c.Register(ctx, args[0], impl, client.App(application))
			if err != nil {
				return err
			}
			return a.printObject(spec, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s %s\n", spec.Name, spec.Version)
				return err
			})
		}),
	}
	f := cmd.Flags()
	f.StringVar(&wasm, "wasm", "", "`file` of a WebAssembly module (docs/formats/wasm-abi.md), - for stdin")
	f.StringVar(&dir, "go", "", "`directory` of a Go package")
	f.StringVar(&symbol, "symbol", "", "func in it; none for a main package that calls fn.Serve")
	f.DurationVar(&wall, "call-timeout", 0, "wall time of one invocation (default 5m)")
	f.Var(&memory, "memory", "what one instance may use (default 256MiB)")
	f.Var(&output, "max-output", "bytes of an encoded result (default 64MiB)")
	f.StringVar(&application, "app", "", "`name` of the application, whose functions share a part of each node's cache")
	f.IntVar(&slots, "concurrency", 0, "invocations at once on one executor (default unlimited)")
	return cmd
}

func (a *app) implementation(wasm, dir, symbol string) (client.Impl, error) {
	switch {
	case (wasm == "") == (dir == ""):
		return client.Impl{}, fault.New(fault.InvalidArgument, "what is the function made of? give either --wasm FILE or --go DIR --symbol FUNC")
	case wasm != "" && symbol != "":
		return client.Impl{}, fault.New(fault.InvalidArgument, "--symbol belongs to --go")
	case wasm != "":
		code, err := a.read(wasm)
		return client.Wasm(code), err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return client.Impl{}, fault.New(fault.InvalidArgument, "%s is no directory: --go takes that of a package", dir)
	}
	return client.GoPackage(dir, symbol), nil
}

func (a *app) fnList() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List functions", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *client.Client, _ []string) error {
			fs, err := c.Functions(ctx)
			if err != nil {
				return err
			}
			t := table{header: []string{"NAME", "APP", "KIND", "VERSION", "IN", "OUT", "TIMEOUT", "MEMORY"}}
			for _, f := range fs {
				app := f.App
				if app == "" {
					app = "-"
				}
				in := "any"
				if f.In != nil {
					in = "(" + strings.Join(f.In, ", ") + ")"
				}
				t.add(f, f.Name, app, string(f.Kind), short(f.Version), in, f.Out, f.Limits.Wall.String(), size(f.Limits.Memory))
			}
			return a.print(t)
		}),
	}
}

func (a *app) fnRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME…", Short: "Forget functions; open runs go on", Args: cobra.MinimumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			for _, name := range args {
				if err := c.RemoveFunction(ctx, name); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}
