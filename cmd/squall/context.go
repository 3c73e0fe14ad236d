package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/id"
)

// contexts are saved connections, in one file of the user's configuration that only the user may read:
//
//	selected: prod
//	contexts:
//	  prod: {server: nats://…, creds: …, namespace: …}
type contexts struct {
	path string
	k    *koanf.Koanf
}

// yamlForm is koanf's parser of that file.
type yamlForm struct{}

// Unmarshal reads YAML.
func (yamlForm) Unmarshal(b []byte) (out map[string]any, err error) {
	err = yaml.Unmarshal(b, &out)
	return out, err
}

// Marshal writes YAML.
func (yamlForm) Marshal(x map[string]any) ([]byte, error) { return yaml.Marshal(x) }

// file provides the bytes of a file, none where it is missing.
type file string

// ReadBytes reads it.
func (f file) ReadBytes() ([]byte, error) {
	b, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Read is of no use here.
func (file) Read() (map[string]any, error) { return nil, errors.New("a file has only bytes") }

func openContexts() (*contexts, error) {
	path := os.Getenv("SQUALL_CONFIG")
	if path == "" {
		dir, _ := os.UserConfigDir()
		if dir == "" {
			return nil, nil // a user without a home has no contexts
		}
		path = filepath.Join(dir, "squall", "config.yaml")
	}
	c := &contexts{path, koanf.New(".")}
	if err := c.k.Load(file(path), yamlForm{}); err != nil {
		return nil, fault.New(fault.InvalidArgument, "configuration %s: %w", path, err)
	}
	return c, nil
}

func (c *contexts) names() []string {
	var out []string
	for name := range c.k.Cut("contexts").Raw() {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

func (c *contexts) has(name string) bool { return c.k.Exists("contexts." + name) }

// save replaces the file as a whole.
func (c *contexts) save() error {
	b, err := c.k.Marshal(yamlForm{})
	if err == nil {
		err = os.MkdirAll(filepath.Dir(c.path), 0o700)
	}
	var f *os.File
	if err == nil {
		f, err = os.CreateTemp(filepath.Dir(c.path), ".config-*") // 0600
	}
	if err != nil {
		return fault.New(fault.InvalidArgument, "save %s: %w", c.path, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), c.path)
	}
	if err != nil {
		return fault.New(fault.InvalidArgument, "save %s: %w", c.path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

func noContext(name string) error {
	return fault.New(fault.InvalidArgument, "no context %q is saved: 'squall context ls' lists them", name)
}

// contextLayer is the context that the flags, the environment or the selection name; empty where none does.
func contextLayer(flags *pflag.FlagSet) (layer, error) {
	name := os.Getenv("SQUALL_CONTEXT")
	if f := flags.Lookup("context"); f != nil && f.Changed {
		name = f.Value.String()
	}
	c, err := openContexts()
	if err != nil || c == nil {
		return nil, err
	}
	named := name != ""
	if !named {
		name = c.k.String("selected")
	}
	if name == "" {
		return nil, nil
	}
	if !c.has(name) {
		if !named {
			return nil, nil
		}
		return nil, noContext(name)
	}
	return layer(c.k.Cut("contexts." + name).Raw()), nil
}

func (a *app) contextCommand() *cobra.Command {
	var sel bool
	save := &cobra.Command{
		Use: "save NAME", Short: "Keep the connection that the flags of this command say, under a name", Args: cobra.ExactArgs(1),
		Example: "  squall context save prod -s nats://nats.example:4222 --creds ~/prod.creds --select",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := id.CheckName("context", args[0]); err != nil {
				return err
			}
			l := flagLayer(cmd.Flags())
			delete(l, "output")
			if len(l) == 0 {
				return fault.New(fault.InvalidArgument, "nothing to keep: give --server, --creds, --user, --token or --namespace")
			}
			return editContexts(func(c *contexts) error {
				c.k.Delete("contexts." + args[0])
				if sel {
					_ = c.k.Set("selected", args[0]) // fails for malformed keys only
				}
				return c.k.Set("contexts."+args[0], map[string]any(l))
			})
		},
	}
	save.Flags().BoolVar(&sel, "select", false, "use it from now on")
	pick := &cobra.Command{
		Use: "select NAME", Short: "Use a context from now on", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return editContexts(func(c *contexts) error {
				if !c.has(args[0]) {
					return noContext(args[0])
				}
				return c.k.Set("selected", args[0])
			})
		},
	}
	rm := &cobra.Command{
		Use: "rm NAME", Short: "Forget a context", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return editContexts(func(c *contexts) error {
				if !c.has(args[0]) {
					return noContext(args[0])
				}
				c.k.Delete("contexts." + args[0])
				if c.k.String("selected") == args[0] {
					c.k.Delete("selected")
				}
				return nil
			})
		},
	}
	ls := &cobra.Command{
		Use: "ls", Short: "List contexts", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			type view struct {
				Name      string `json:"name"`
				Selected  bool   `json:"selected"`
				Server    string `json:"server,omitempty"`
				Namespace string `json:"namespace,omitempty"`
			}
			t := table{header: []string{"", "NAME", "SERVER", "NAMESPACE"}}
			return withContexts(func(c *contexts) error {
				for _, name := range c.names() {
					k := c.k.Cut("contexts." + name)
					v := view{name, name == c.k.String("selected"), bare(k.String("server")), k.String("namespace")}
					mark := ""
					if v.Selected {
						mark = "*"
					}
					t.add(v, mark, v.Name, v.Server, v.Namespace)
				}
				return a.print(t)
			})
		},
	}
	c := group("context", "Keep connections under names", save, pick, ls, rm)
	// Whatever is selected, it must be possible to select something else.
	c.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		a.set.Output = "table"
		if o, _ := flagLayer(cmd.Flags())["output"].(string); o != "" {
			a.set.Output = o
		}
		return a.set.check("")
	}
	return c
}

func withContexts(f func(*contexts) error) error {
	c, err := openContexts()
	if err != nil {
		return err
	}
	if c == nil {
		return fault.New(fault.InvalidArgument, "no directory for the user's configuration: set HOME or SQUALL_CONFIG")
	}
	return f(c)
}

func editContexts(edit func(*contexts) error) error {
	return withContexts(func(c *contexts) error {
		if err := edit(c); err != nil {
			return err
		}
		return c.save()
	})
}
