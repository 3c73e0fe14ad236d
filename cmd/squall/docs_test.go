package main

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestDocumentNamesEveryCommand(t *testing.T) {
	b, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden {
			return
		}
		if c.Runnable() && !c.HasSubCommands() && !strings.Contains(string(b), "`"+c.CommandPath()) {
			t.Errorf("docs/cli.md says nothing of %s", c.CommandPath())
		}
		for _, s := range c.Commands() {
			walk(s)
		}
	}
	walk((&app{in: strings.NewReader(""), out: io.Discard, errs: io.Discard}).root())
	for _, name := range settingNames {
		if !strings.Contains(string(b), "`SQUALL_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"`") {
			t.Errorf("docs/cli.md says nothing of the setting %s", name)
		}
	}
}
