package value

import "reflect"

// TypeName is the coarse name of a Go type, for what is checked and shown before anything runs: int, float, bool,
// text, bytes, list, map, struct, ref, null, or any where only a value can tell. A nil type, as a function without a
// result has, is null. Pointers to scalars are any, because they take null too.
func TypeName(t reflect.Type) string {
	switch {
	case t == nil, t == reflect.TypeFor[struct{}]():
		return "null"
	case t == reflect.TypeFor[Ref]():
		return "ref"
	case traitsOf(t).custom:
		return "any"
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "int"
	case reflect.Float32, reflect.Float64:
		return "float"
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "text"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "list"
	case reflect.Map:
		return "map"
	case reflect.Struct:
		return "struct"
	case reflect.Pointer:
		switch name := TypeName(t.Elem()); name {
		case "struct", "map", "list", "bytes":
			return name
		}
	}
	return "any"
}

// Fits reports whether a value of the type that producer names may be decoded into one that consumer names, both as
// TypeName gives them. It says no only where every value would be wrong_type; a name it does not know fits all.
func Fits(producer, consumer string) bool {
	if producer == consumer || !named(producer) || !named(consumer) {
		return true
	}
	switch producer {
	case "null":
		return consumer == "list" || consumer == "map" || consumer == "struct" || consumer == "bytes"
	case "ref":
		return true // it is resolved to something else before the consumer runs
	case "int":
		return consumer == "float"
	case "text":
		return consumer == "bytes"
	case "map":
		return consumer == "struct"
	case "struct":
		return consumer == "map" || consumer == "list" || consumer == "bytes" // a struct may be tagged toarray
	case "list":
		return consumer == "struct" || consumer == "bytes" // of small integers
	}
	return false
}

// named reports whether name says anything: any, the empty name, and names of a later release do not.
func named(name string) bool {
	switch name {
	case "int", "float", "bool", "text", "bytes", "list", "map", "struct", "ref", "null":
		return true
	}
	return false
}
