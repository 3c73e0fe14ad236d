package main

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/squall-faas/squall/dag"
	"github.com/squall-faas/squall/dag/planner"
)

// The measures of a drawing, in pixels.
const (
	boxWidth, boxHeight = 176, 66
	inputHeight         = 34
	gapX, gapY          = 150, 40
	edgeMargin          = 24
	titleHeight         = 56
	footHeight          = 40
	letter              = 6.4 // width of one at the size of small text
)

// pathColour tells paths apart, for the colour-blind too (Okabe and Ito 2008).
func pathColour(p planner.Path) string {
	switch p {
	case planner.Local:
		return "#009e73"
	case planner.Direct:
		return "#d55e00"
	case planner.Remote:
		return "#0072b2"
	}
	return "#777777"
}

// spot is something that has a place in the drawing: a box, or the point at which a long edge crosses a column.
type spot struct {
	source dag.Source // of a box; inputs have small ones
	dummy  bool
	column int
	x, y   float64 // of its middle
	before []*spot
	after  []*spot
}

func (s *spot) height(inputs int) float64 {
	switch {
	case s.dummy:
		return 26
	case int(s.source) < inputs:
		return inputHeight
	}
	return boxHeight
}

// chart is a layered drawing (Sugiyama, Tagawa and Toda 1981): columns by depth, long edges through dummies in between,
// each column sorted by where its neighbours are.
type chart struct {
	g       *dag.Graph
	v       *explainView
	columns [][]*spot
	ways    [][]*spot // by edge of the view: the spots that it passes, ends included; nil where one between the same ends does
	width   float64
	height  float64
}

func newChart(g *dag.Graph, v *explainView) *chart {
	c := &chart{g: g, v: v}
	at := make([]*spot, g.Sources())
	put := func(s *spot) *spot {
		for len(c.columns) <= s.column {
			c.columns = append(c.columns, nil)
		}
		c.columns[s.column] = append(c.columns[s.column], s)
		return s
	}
	for s := range dag.Source(g.Sources()) {
		column := 0
		if n, ok := g.NodeOf(s); ok {
			column = g.Depth(n) + 1
		} else if uses := g.Consumers(s); len(uses) > 0 {
			// An input stands just before the first node that needs it.
			column = g.Depth(uses[0].Node)
			for _, u := range uses {
				column = min(column, g.Depth(u.Node))
			}
		}
		at[s] = put(&spot{source: s, column: column})
	}
	seen := map[[2]dag.Source]bool{}
	for n := range g.Nodes {
		for _, a := range g.Nodes[n].Args {
			if a.Const != nil {
				continue
			}
			key := [2]dag.Source{a.From, g.NodeSource(n)}
			if seen[key] {
				c.ways = append(c.ways, nil)
				continue
			}
			seen[key] = true
			from, to := at[a.From], at[g.NodeSource(n)]
			way := []*spot{from}
			for column := from.column + 1; column < to.column; column++ {
				way = append(way, put(&spot{dummy: true, column: column}))
			}
			way = append(way, to)
			for k := 1; k < len(way); k++ {
				way[k-1].after, way[k].before = append(way[k-1].after, way[k]), append(way[k].before, way[k-1])
			}
			c.ways = append(c.ways, way)
		}
	}
	c.place()
	return c
}

// place gives all spots their coordinates.
func (c *chart) place() {
	for _, column := range c.columns {
		c.stack(column)
	}
	for sweep := range 12 {
		for k := range c.columns {
			if sweep%2 == 1 {
				k = len(c.columns) - 1 - k
			}
			c.sortColumn(c.columns[k], sweep%2 == 1)
		}
	}
	top := 0.0
	for _, column := range c.columns {
		for _, s := range column {
			top = min(top, s.y-s.height(len(c.g.Inputs))/2)
		}
	}
	for k, column := range c.columns {
		for _, s := range column {
			s.x = edgeMargin + boxWidth/2 + float64(k)*(boxWidth+gapX)
			s.y += titleHeight + edgeMargin - top
			c.height = max(c.height, s.y+s.height(len(c.g.Inputs))/2+edgeMargin+footHeight)
		}
	}
	c.width = 2*edgeMargin + boxWidth + float64(len(c.columns)-1)*(boxWidth+gapX)
	c.width = max(c.width, 640)
}

// stack puts a column's spots below each other, around 0.
func (c *chart) stack(column []*spot) {
	total := float64(gapY) * float64(len(column)-1)
	for _, s := range column {
		total += s.height(len(c.g.Inputs))
	}
	y := -total / 2
	for _, s := range column {
		h := s.height(len(c.g.Inputs))
		s.y = y + h/2
		y += h + gapY
	}
}

// sortColumn sorts a column by the middle of its neighbours on one side, and moves its spots towards that as far as they do
// not touch.
func (c *chart) sortColumn(column []*spot, back bool) {
	want := map[*spot]float64{}
	for _, s := range column {
		side := s.before
		if back {
			side = s.after
		}
		want[s] = s.y
		if len(side) > 0 {
			sum := 0.0
			for _, o := range side {
				sum += o.y
			}
			want[s] = sum / float64(len(side))
		}
	}
	slices.SortStableFunc(column, func(a, b *spot) int { return cmp.Compare(want[a], want[b]) })
	c.stack(column)
	shift := 0.0
	for _, s := range column {
		shift += want[s] - s.y
	}
	for _, s := range column {
		s.y += shift / float64(len(column))
	}
}

// drawPlan writes a plan as SVG.
func drawPlan(w io.Writer, g *dag.Graph, v *explainView) error {
	c := newChart(g, v)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" font-family="Helvetica, Arial, sans-serif">`+"\n", c.width, c.height, c.width, c.height)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	c.text(&b, edgeMargin, 30, 17, "bold", "start", "#111111", g.Name)
	c.text(&b, edgeMargin, 50, 12, "normal", "start", "#555555",
		fmt.Sprintf("best in %s: %s, $%.3g; %s", v.Objective, shortTime(v.LatencyNs), v.Cost, weighed(v)))
	for i, way := range c.ways {
		if way != nil {
			c.edge(&b, &v.Edges[i], way)
		}
	}
	for i, way := range c.ways { // labels over all lines
		if way != nil {
			c.label(&b, &v.Edges[i], way)
		}
	}
	for _, column := range c.columns {
		for _, s := range column {
			if !s.dummy {
				c.box(&b, s)
			}
		}
	}
	c.legend(&b)
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func weighed(v *explainView) string {
	if v.Exact {
		return "every plan was weighed"
	}
	return "not every plan was weighed"
}

func (c *chart) text(b *strings.Builder, x, y float64, size int, weight, anchor, colour, text string) {
	fmt.Fprintf(b, `<text x="%.0f" y="%.0f" font-size="%d" font-weight="%s" text-anchor="%s" fill="%s">`, x, y, size, weight, anchor, colour)
	_ = xml.EscapeText(b, []byte(text)) // a strings.Builder takes everything
	b.WriteString("</text>\n")
}

// fits cuts a text that is wider than a box.
func fits(text string, width float64) string {
	most := int(width / letter)
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

func (c *chart) box(b *strings.Builder, s *spot) {
	n, isNode := c.g.NodeOf(s.source)
	x, y := s.x-boxWidth/2, s.y-s.height(len(c.g.Inputs))/2
	if !isNode {
		fmt.Fprintf(b, `<rect class="input" x="%.0f" y="%.0f" width="%d" height="%d" rx="17" fill="#f2f2f2" stroke="#999999"/>`+"\n", x, y, boxWidth, inputHeight)
		c.text(b, s.x, s.y+4, 12, "normal", "middle", "#333333", fits(c.g.SourceName(s.source), boxWidth-16))
		return
	}
	v := &c.v.Nodes[n]
	if v.Tasks > 1 { // a second sheet behind says that there are many
		fmt.Fprintf(b, `<rect x="%.0f" y="%.0f" width="%d" height="%d" rx="7" fill="white" stroke="#333333"/>`+"\n", x+5, y+5, boxWidth, boxHeight)
	}
	fmt.Fprintf(b, `<rect class="node" x="%.0f" y="%.0f" width="%d" height="%d" rx="7" fill="#fbfbf7" stroke="#333333"/>`+"\n", x, y, boxWidth, boxHeight)
	title := v.Node
	if v.Tasks > 1 {
		title = fmt.Sprintf("%s ×%d", v.Node, v.Tasks)
	}
	c.text(b, s.x, y+19, 13, "bold", "middle", "#111111", fits(title, boxWidth-20))
	what := v.Function + " on " + v.where
	if whole := c.g.Nodes[n].Kind.String() + " " + what; fits(whole, boxWidth-10) == whole {
		what = whole
	}
	c.text(b, s.x, y+37, 11, "normal", "middle", "#555555", fits(what, boxWidth-10))
	c.text(b, s.x, y+55, 11, "normal", "middle", "#555555", shortTime(v.StartNs)+" – "+shortTime(v.FinishNs))
}

func (c *chart) edge(b *strings.Builder, e *explainEdge, way []*spot) {
	x, y := way[0].x+boxWidth/2, way[0].y
	d := fmt.Sprintf("M %.0f %.0f", x, y)
	for i, s := range way[1:] {
		left, right := s.x-boxWidth/2, s.x+boxWidth/2
		if i == len(way)-2 {
			left -= 7 // the arrow's head
		}
		bend := (left - x) / 2
		d += fmt.Sprintf(" C %.0f %.0f %.0f %.0f %.0f %.0f", x+bend, y, left-bend, s.y, left, s.y)
		if s.dummy {
			d += fmt.Sprintf(" L %.0f %.0f", right, s.y)
		}
		x, y = right, s.y
	}
	colour := pathColour(e.Path)
	dash := ""
	if e.Path == planner.Inline {
		dash = ` stroke-dasharray="5 3"`
	}
	fmt.Fprintf(b, `<path class="edge %s" d="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", e.Path, d, colour, dash)
	end := way[len(way)-1]
	x = end.x - boxWidth/2
	fmt.Fprintf(b, `<path d="M %.0f %.0f l -9 -4.5 v 9 z" fill="%s"/>`+"\n", x, end.y, colour)
}

// label writes an edge's path and size where its line is: on a dummy if it has one, else in the middle of the gap.
func (c *chart) label(b *strings.Builder, e *explainEdge, way []*spot) {
	lines := []string{e.Path.String() + ", " + size(e.Bytes), e.Pattern.String() + ", " + shortTime(e.TookNs)}
	x, y := (way[0].x+way[1].x)/2, (way[0].y+way[1].y)/2
	if way[1].dummy {
		x, y = way[1].x, way[1].y
	}
	width := 0.0
	for _, l := range lines {
		width = max(width, float64(utf8.RuneCountInString(l))*letter*0.92)
	}
	fmt.Fprintf(b, `<rect x="%.0f" y="%.0f" width="%.0f" height="30" rx="3" fill="white" fill-opacity="0.88"/>`+"\n", x-width/2-3, y-16, width+6)
	for i, l := range lines {
		c.text(b, x, y-3+float64(13*i), 11, "normal", "middle", pathColour(e.Path), l)
	}
}

func (c *chart) legend(b *strings.Builder) {
	x, y := float64(edgeMargin), c.height-16
	for _, p := range []planner.Path{planner.Local, planner.Direct, planner.Remote, planner.Inline} {
		dash := ""
		if p == planner.Inline {
			dash = ` stroke-dasharray="5 3"`
		}
		fmt.Fprintf(b, `<path d="M %.0f %.0f h 26" stroke="%s" stroke-width="2"%s/>`+"\n", x, y, pathColour(p), dash)
		c.text(b, x+32, y+4, 11, "normal", "start", "#333333", p.String())
		x += 92
	}
}
