package bench

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/reclaim"
)

// TestCostPlot: the suite draws the cost in the form that the file's ending names, with the crossover of its table; and what
// it cannot draw it refuses before it measures.
func TestCostPlot(t *testing.T) {
	run := func(file string, only ...string) (*Report, error) {
		c := Coded{Options: Options{Quick: true, Only: only, Dir: t.TempDir()}, Plot: file}
		return c.Run(t.Context())
	}
	read := func(file string) []byte {
		r, err := run(file, caseCost)
		if err != nil {
			t.Fatal(err)
		}
		if r.Row(caseCost, "crossover") == nil {
			t.Error("the table lacks the crossover")
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	svg := string(read(filepath.Join(t.TempDir(), "cost.svg")))
	at := costCrossover(reclaim.PaperPool().Crossover(reclaim.PricesOf2019()))
	for _, want := range []string{"<svg", "lent memory", "provisioned cache", "requests an hour", "dollars an hour", at} {
		if !strings.Contains(svg, want) {
			t.Errorf("the plot lacks %q", want)
		}
	}
	drawn, err := png.Decode(bytes.NewReader(read(filepath.Join(t.TempDir(), "cost.PNG"))))
	if err != nil {
		t.Fatal(err)
	}
	if s := drawn.Bounds().Size(); s.X != 7*plotDPI {
		t.Errorf("the picture is %v", s)
	}
	for name, c := range map[string]struct{ file, only string }{
		"another form":          {"cost.pdf", caseCost},
		"a case without a plot": {"cost.svg", caseAvailability},
		"a directory not there": {filepath.Join("gone", "cost.svg"), caseCost},
	} {
		if _, err := run(filepath.Join(t.TempDir(), c.file), c.only); !fault.Is(err, fault.InvalidArgument) {
			t.Errorf("%s: %v, want invalid_argument", name, err)
		}
	}
}
