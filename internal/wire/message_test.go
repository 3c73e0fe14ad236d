package wire_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/squall-faas/squall/internal/wire"
)

// messages gives an empty message of each type.
func messages() map[wire.Type]wire.Message {
	return map[wire.Type]wire.Message{
		wire.TypeFrame: &wire.Frame{}, wire.TypeAck: &wire.Ack{}, wire.TypeCall: &wire.Call{}, wire.TypeOutcome: &wire.Outcome{},
		wire.TypeDeliver: &wire.Deliver{}, wire.TypeExec: &wire.Exec{}, wire.TypeResult: &wire.Result{},
		wire.TypeFailure: &wire.Failure{}, wire.TypeRelease: &wire.Release{}, wire.TypeReport: &wire.Report{},
		wire.TypeHeartbeat: &wire.Heartbeat{}, wire.TypeCancel: &wire.Cancel{}, wire.TypeQuery: &wire.Query{},
		wire.TypeHeld: &wire.Held{}, wire.TypeReplan: &wire.Replan{}, wire.TypeSpread: &wire.Spread{},
		wire.TypeOffers: &wire.Offers{}, wire.TypeRunOp: &wire.RunOp{}, wire.TypeInquiry: &wire.Inquiry{},
		wire.TypeAdmin: &wire.Admin{}, wire.TypeAnswer: &wire.Answer{}, wire.TypeRunRecord: &wire.RunRecord{},
		wire.TypeSpec: &wire.Spec{}, wire.TypeFunction: &wire.Function{}, wire.TypeGraph: &wire.Graph{},
		wire.TypePing: &wire.Ping{}, wire.TypeFence: &wire.Fence{}, wire.TypeMail: &wire.Mail{}, wire.TypeMailed: &wire.Mailed{},
		wire.TypeAgain: &wire.Again{}, wire.TypeAsk: &wire.Ask{}, wire.TypeTold: &wire.Told{}, wire.TypeEffects: &wire.Effects{},
		wire.TypeLender: &wire.Lender{}, wire.TypeObject: &wire.Object{}, wire.TypeClaim: &wire.Claim{}, wire.TypeBusy: &wire.Busy{},
		wire.TypeDecline: &wire.Decline{}, wire.TypeWithdraw: &wire.Withdraw{},
	}
}

// constants reads the Type constants from the source, by name.
func constants(t *testing.T) map[string]wire.Type {
	t.Helper()
	out := map[string]wire.Type{}
	for _, name := range []string{"envelope.go", "mail.go", "objects.go", "credit.go", "decline.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Names) != 1 || !strings.HasPrefix(v.Names[0].Name, "Type") {
				return true
			}
			number, err := strconv.Atoi(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out[v.Names[0].Name] = wire.Type(number)
			return true
		})
	}
	return out
}

// TestMessagesAreAll holds the list of this test against the constants: a message that is added has to be added here.
func TestMessagesAreAll(t *testing.T) {
	known := constants(t)
	if len(known) != len(messages()) {
		t.Errorf("%d constants, %d messages", len(known), len(messages()))
	}
	for name, number := range known {
		m := messages()[number]
		if m == nil {
			t.Errorf("%s has no message in this test", name)
			continue
		}
		if got := "Type" + reflect.TypeOf(m).Elem().Name(); got != name {
			t.Errorf("%s is the number of %s", name, got)
		}
		b, err := wire.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if b[0] != wire.Version || wire.Type(b[1]) != number {
			t.Errorf("%s begins with % x", name, b[:2])
		}
	}
}

// fill sets every field of a message to something that is not its zero value, the same each time.
func fill(v reflect.Value, seed *int) {
	*seed++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), seed)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), seed)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), seed)
		fill(v.Index(1), seed)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), seed)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d ☂", *seed))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		v.SetUint(uint64(*seed%200 + 1))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*seed) * 1001)
	default:
		panic("fill: " + v.Type().String())
	}
}

// draw sets every field of a message to something random. What is empty is nil, as it is after decoding.
func draw(rt *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if rapid.Bool().Draw(rt, "there") {
			v.Set(reflect.New(v.Type().Elem()))
			draw(rt, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				draw(rt, v.Field(i))
			}
		}
	case reflect.Slice:
		if n := rapid.IntRange(0, 3).Draw(rt, "length"); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				draw(rt, v.Index(i))
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			draw(rt, v.Index(i))
		}
	case reflect.String:
		v.SetString(rapid.OneOf(rapid.String(), rapid.Custom(func(rt *rapid.T) string {
			return string(rapid.SliceOf(rapid.Byte()).Draw(rt, "bytes"))
		})).Draw(rt, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(rt, "flag"))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uint:
		v.SetUint(rapid.Uint64Range(0, 1<<v.Type().Bits()-1).Draw(rt, "number"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(rt, "number"))
	default:
		panic("draw: " + v.Type().String())
	}
}

// TestRoundTrip encodes random messages and gets the same back.
func TestRoundTrip(t *testing.T) {
	for number, m := range messages() {
		t.Run(reflect.TypeOf(m).Elem().Name(), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				in := messages()[number]
				draw(rt, reflect.ValueOf(in).Elem())
				b, err := wire.Encode(in)
				if err != nil {
					rt.Fatal(err)
				}
				out := messages()[number]
				if err := wire.Decode(b, out); err != nil {
					rt.Fatal(err)
				}
				if !reflect.DeepEqual(in, out) {
					rt.Fatalf("went in as %+v and came out as %+v", in, out)
				}
			})
		})
	}
}
