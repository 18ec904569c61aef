package keys

import (
	"reflect"
	"slices"
	"strings"
)

// field is a key of a mapping.
type field struct {
	name  string
	index []int
	typ   reflect.Type
	tag   reflect.StructTag
}

// fieldsOf are the keys of a struct in the order of its source, but for those that are left out.
func fieldsOf(t reflect.Type, without string) (out []field) {
	left := strings.Split(without, ",")
	for f := range fields(t) {
		if !slices.Contains(left, f.name) {
			out = append(out, f)
		}
	}
	return out
}

func fields(t reflect.Type) func(yield func(field) bool) {
	return func(yield func(field) bool) {
		for _, f := range reflect.VisibleFields(t) {
			name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if name == "" || name == "-" || options == "inline" || !f.IsExported() {
				continue
			}
			if !yield(field{name, f.Index, f.Type, f.Tag}) {
				return
			}
		}
	}
}

func fieldNames(list []field) (names []string) {
	for _, f := range list {
		names = append(names, f.name)
	}
	return names
}
