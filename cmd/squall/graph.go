package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/squall-faas/squall/client"
	"github.com/squall-faas/squall/dag"
)

// graphView is a DAG in lists.
type graphView struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Inputs  []string `json:"inputs"`
	Outputs []string `json:"outputs"`
	Nodes   int      `json:"nodes"`
}

func viewOf(g *dag.Graph, version string) graphView {
	v := graphView{g.Name, version, g.Inputs, nil, len(g.Nodes)}
	for _, o := range g.Outputs {
		v.Outputs = append(v.Outputs, o.Name)
	}
	return v
}

func (a *app) dagCommand() *cobra.Command {
	return group("dag", "Register, list and explain DAGs", a.dagPut(), a.dagGet(), a.dagList(), a.dagRemove(), a.dagCheck(), a.dagExplain())
}

func (a *app) graph(path string) (*dag.Graph, error) {
	b, err := a.read(path)
	if err != nil {
		return nil, err
	}
	return dag.Parse(b)
}

func (a *app) dagPut() *cobra.Command {
	return &cobra.Command{
		Use: "put FILE", Short: "Register a DAG of a YAML or JSON file, - for stdin", Args: cobra.ExactArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			g, err := a.graph(args[0])
			if err != nil {
				return err
			}
			version, err := c.RegisterDAG(ctx, g)
			if err != nil {
				return err
			}
			return a.printObject(viewOf(g, version), func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s %s\n", g.Name, version)
				return err
			})
		}),
	}
}

func (a *app) dagCheck() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Say what is wrong with a DAG's file, without a cluster", Args: cobra.ExactArgs(1),
		Long: "Checks everything but whether the functions are registered and take what they are given, which 'squall dag put' does.",
		RunE: func(_ *cobra.Command, args []string) error {
			g, err := a.graph(args[0])
			if err != nil {
				return err
			}
			return a.printObject(viewOf(g, dag.Hash(g)), func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s is in order: %d nodes, inputs %q, outputs %q\n", g.Name, len(g.Nodes), g.Inputs, viewOf(g, "").Outputs)
				return err
			})
		},
	}
}

func (a *app) dagGet() *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "Print a DAG's file, in YAML or, with -o json, JSON", Args: cobra.ExactArgs(1),
		Annotations: map[string]string{alsoForm: "yaml"},
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			g, _, err := c.DAG(ctx, args[0])
			if err != nil {
				return err
			}
			b := g.YAML()
			if a.set.Output == "json" || a.set.Output == "jsonl" {
				b = g.JSON()
			}
			if !bytes.HasSuffix(b, []byte("\n")) {
				b = append(b, '\n')
			}
			_, err = a.out.Write(b)
			return err
		}),
	}
}

func (a *app) dagRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME…", Short: "Forget DAGs; open runs go on", Args: cobra.MinimumNArgs(1),
		RunE: a.with(func(ctx context.Context, c *client.Client, args []string) error {
			for _, name := range args {
				if err := c.RemoveDAG(ctx, name); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

func (a *app) dagList() *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List DAGs", Args: cobra.NoArgs,
		RunE: a.with(func(ctx context.Context, c *client.Client, _ []string) error {
			gs, err := c.DAGs(ctx)
			if err != nil {
				return err
			}
			t := table{header: []string{"NAME", "VERSION", "NODES", "INPUTS", "OUTPUTS"}}
			for _, g := range gs {
				t.add(graphView{g.Name, g.Version, g.Inputs, g.Outputs, g.Nodes},
					g.Name, short(g.Version), strconv.Itoa(g.Nodes), strings.Join(g.Inputs, ", "), strings.Join(g.Outputs, ", "))
			}
			return a.print(t)
		}),
	}
}
