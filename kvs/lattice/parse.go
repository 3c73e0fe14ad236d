package lattice

import (
	"strings"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/value"
)

// OpUsage lists what ParseOp reads, for help texts.
const OpUsage = `assign VALUE, assign-multi VALUE, add N, insert VALUE, remove VALUE, grow VALUE, max VALUE, min VALUE,
field NAME OPERATION, remove-field NAME`

// ParseOp reads an operation as it stands on a command line, one word an argument: "add" "3", "field" "hits" "add" "1". A
// value is JSON, or text as it stands where it is no JSON: x and "x" are the same text, 3 is a number, and "3", with the
// quotes, a text. What it cannot read is invalid_argument.
func ParseOp(words ...string) (Op, error) {
	op, err := parseOp(words)
	if err != nil {
		return Op{}, err
	}
	return op.check(maxDepth)
}

func parseOp(words []string) (Op, error) {
	if len(words) == 0 {
		return Op{}, fault.New(fault.InvalidArgument, "no operation: give one of %s", OpUsage)
	}
	kind := kindOf(words[0])
	name, takes := words[0], 1
	if kind == Field {
		takes = 2
	}
	switch words = words[1:]; {
	case kind == 0:
		return Op{}, fault.New(fault.InvalidArgument, "%.40q is no operation: give one of %s", name, OpUsage)
	case len(words) < takes, kind != Field && len(words) > takes:
		return Op{}, fault.New(fault.InvalidArgument, "%s has %d words after it: write one of %s; quote a value with spaces", name, len(words), OpUsage)
	case kind == RemoveField:
		return Op{Kind: kind, Field: words[0]}, nil
	case kind == Field:
		inner, err := parseOp(words[1:])
		return Op{Kind: kind, Field: words[0], Inner: &inner}, err
	}
	arg, err := value.FromJSON([]byte(words[0]))
	if err != nil {
		if arg, err = value.Of(words[0]); err != nil {
			return Op{}, err
		}
	}
	return Op{Kind: kind, Arg: arg}, nil
}

func kindOf(word string) OpKind {
	for k, x := range kinds {
		if x.word != "" && x.word == strings.ToLower(word) {
			return OpKind(k)
		}
	}
	return 0
}
