package value_test

import (
	"fmt"
	"reflect"

	"github.com/squall-faas/squall/value"
)

// A value made from one type decodes into any that its encoding fits.
func Example() {
	type visit struct {
		Page string `json:"page"`
		Ms   int    `json:"ms"`
	}
	v := value.MustOf(visit{"home", 12})
	wire, _ := v.Wire() // as it travels to another node
	there, _ := value.Parse(wire)
	m, err := value.As[map[string]any](there)
	fmt.Println(there.Kind(), m, err)
	// Output: cbor map[ms:12 page:home] <nil>
}

func ExampleAs() {
	v := value.MustOf(42)
	i, _ := value.As[int](v)
	f, _ := value.As[float64](v)
	_, err := value.As[string](v)
	fmt.Println(i, f, err)
	// Output: 42 42 a value of type int does not fit string: cbor: cannot unmarshal positive integer into Go value of type string [wrong_type]
}

func ExampleValue_Elements() {
	vs, _ := value.MustOf([]float64{1, 2.5}).Elements()
	for _, v := range vs {
		x, _ := value.As[float64](v)
		fmt.Println(x)
	}
	// Output:
	// 1
	// 2.5
}

func ExampleList() {
	v := value.List([]value.Value{value.MustOf("a"), value.MustOf(value.Ref("photos/1"))})
	doc, _ := v.JSON()
	fmt.Printf("%s\n", doc)
	// Output: ["a",{"$ref":"photos/1"}]
}

func ExampleFromJSON() {
	v, _ := value.FromJSON([]byte(`{"name":"cat.jpg","data":{"$bytes":"aGk="}}`))
	photo, err := value.As[struct {
		Name string
		Data []byte
	}](v)
	fmt.Println(photo.Name, string(photo.Data), err)
	// Output: cat.jpg hi <nil>
}

func ExampleValue_JSON() {
	doc, _ := value.MustOf(map[string]any{"n": 1, "mean": 1.0, "raw": []byte("hi")}).JSON()
	fmt.Printf("%s\n", doc)
	_, err := value.MustOf([]float64{1, inf()}).JSON()
	fmt.Println(err)
	// Output:
	// {"mean":1.0,"n":1,"raw":{"$bytes":"aGk="}}
	// a value of type []float64 has no JSON form: it holds NaN or an infinity: replace it, or fetch the value as CBOR [wrong_type]
}

func inf() float64 { zero := 0.0; return 1 / zero }

func ExampleEncodable() {
	type job struct {
		Name string
		Done []chan bool
	}
	fmt.Println(value.Encodable(reflect.TypeFor[job]()))
	// Output: value_test.job cannot be a value: Done[]: a chan has no encoding: use numbers, strings, bytes, bools, structs, maps and slices [wrong_type]
}

func ExampleFits() {
	fmt.Println(value.Fits("int", "float"), value.Fits("text", "int"), value.Fits("any", "list"))
	// Output: true false true
}
