package wasmbin

import "bytes"

// Identifiers of sections (§5.5.2).
const (
	secCustom    = 0
	secType      = 1
	secImport    = 2
	secFunction  = 3
	secTable     = 4
	secMemory    = 5
	secGlobal    = 6
	secExport    = 7
	secStart     = 8
	secElement   = 9
	secCode      = 10
	secData      = 11
	secDataCount = 12
	secTag       = 13
)

// order lists the sections as they must follow each other; custom ones may stand anywhere.
var order = [...]byte{
	secType, secImport, secFunction, secTable, secMemory, secGlobal, secExport, secStart, secElement, secDataCount, secCode, secData,
}

var sectionNames = map[byte]string{
	secType: "type", secImport: "import", secFunction: "function", secTable: "table", secMemory: "memory",
	secGlobal: "global", secExport: "export", secStart: "start", secElement: "element", secCode: "code",
	secData: "data", secDataCount: "data count", secTag: "tag",
}

// rank is a section's place in order, from 1; 0 for an unknown one.
func rank(id byte) int { return bytes.IndexByte(order[:], id) + 1 }

// sections are the contents of a module by section; each field is nil where the module has no such section.
type sections struct {
	body  [secDataCount + 1]*reader
	names []byte // content of the first custom section called "name"
}

// split cuts a module into its sections (§5.5.16) and holds them to their order.
func split(wasm []byte) (*sections, *malformed) {
	const header = 8
	r := &reader{b: wasm, pos: header}
	s := &sections{}
	last := 0
	for r.more() {
		at := r.pos
		id := r.u8("a section")
		size := r.u32("the size of a section")
		body := r.sub(size, "the "+sectionName(id)+" section")
		switch {
		case r.err != nil:
		case id == secCustom:
			if name := body.name("the name of a custom section"); body.err == nil && name == "name" && s.names == nil {
				s.names = body.b[body.pos:]
			}
			r.err = body.err
		case id == secTag:
			r.failAt(at, "it uses exception handling (a tag section), which Squall does not run: compile without exceptions")
		case rank(id) == 0:
			r.failAt(at, "there is no section with the number %d", id)
		case rank(id) <= last:
			r.failAt(at, "the %s section is out of order or there twice", sectionName(id))
		default:
			last = rank(id)
			s.body[id] = body
		}
	}
	return s, r.err
}

func sectionName(id byte) string {
	if n, ok := sectionNames[id]; ok {
		return n
	}
	return "custom"
}
