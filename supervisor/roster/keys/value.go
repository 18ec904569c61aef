package keys

import (
	"encoding"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Checker is a struct whose keys have to fit each other. given tells whether the file has a key, fault reports one; the key "" is the struct itself.
type Checker interface {
	Check(given func(key string) bool, fault func(key, text string))
}

// Placed is a value that depends on the directory of the file that says it.
type Placed interface{ Place(dir string) error }

// Read reads a node into the value behind a pointer. path names it in faults and in Places; it is "" for a whole file.
func (r *Reader) Read(n *yaml.Node, path string, into any) bool {
	return r.value(n, path, reflect.ValueOf(into).Elem(), "")
}

// value reports whether the node could be read; a pointer stays nil if not.
func (r *Reader) value(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) bool {
	n = resolve(n)
	switch {
	case v.Kind() == reflect.Pointer:
		return r.pointer(n, path, v, tag)
	case isText(v.Type()):
		return r.notation(n, path, v)
	}
	switch v.Kind() {
	case reflect.Struct:
		return r.mapping(n, path, v, tag)
	case reflect.Map:
		return r.names(n, path, v, tag)
	case reflect.Slice:
		return r.list(n, path, v, tag)
	}
	return r.scalar(n, path, v, tag)
}

func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// pointer makes what it points to. A null that means something leaves a scalar nil, and gives an empty struct.
func (r *Reader) pointer(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) bool {
	to := reflect.New(v.Type().Elem())
	if isNull(n) && tag.Get("null") != "" {
		if to.Elem().Kind() == reflect.Struct {
			v.Set(to)
		}
		return true
	}
	if !r.value(n, path, to.Elem(), tag) {
		return false
	}
	v.Set(to)
	return true
}

func (r *Reader) mapping(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) bool {
	known := fieldsOf(v.Type(), tag.Get("without"))
	r.defaults(known, v)
	given := map[string]*yaml.Node{"": n}
	ok := r.EachKey(n, path, func(key, value *yaml.Node) {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == key.Value })
		if i < 0 {
			r.unknown(key, path, fieldNames(known))
			return
		}
		given[key.Value] = value
		r.value(value, join(path, key.Value), v.FieldByIndex(known[i].index), known[i].tag)
	})
	if c, is := v.Addr().Interface().(Checker); is && ok {
		c.Check(func(key string) bool { return given[key] != nil }, func(key, text string) {
			at := given[key]
			if at == nil {
				at = n
			}
			r.At(at, "%s: %s", join(path, key), text)
		})
	}
	return ok
}

func (r *Reader) defaults(known []field, v reflect.Value) {
	for _, f := range known {
		if text := f.tag.Get("default"); text != "" {
			n := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
			n.Tag = n.ShortTag()
			r.value(n, f.name, v.FieldByIndex(f.index), f.tag)
		}
	}
}

// names reads a mapping whose keys are the site's own: of services, variables, ports.
func (r *Reader) names(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) bool {
	v.Set(reflect.MakeMap(v.Type()))
	return r.EachKey(n, path, func(key, value *yaml.Node) {
		if pattern := tag.Get("keypattern"); pattern != "" && !matches(pattern, key.Value) {
			r.At(key, "%s: %q is not %s", path, key.Value, tag.Get("keywants"))
			return
		}
		to := reflect.New(v.Type().Elem()).Elem()
		if r.value(value, join(path, key.Value), to, tag) {
			v.SetMapIndex(reflect.ValueOf(key.Value), to)
		}
	})
}

func (r *Reader) list(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) bool {
	if tag.Get("one") != "" && n.Kind == yaml.ScalarNode && !isNull(n) {
		n = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{n}, Line: n.Line, Column: n.Column}
	}
	if n.Kind != yaml.SequenceNode {
		r.At(n, "%s must be a list such as [a, b], not %s", path, describe(n))
		return false
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, len(n.Content)))
	var seen []string
	for _, item := range n.Content {
		item = resolve(item)
		if tag.Get("unique") != "" && slices.Contains(seen, item.Value) {
			r.At(item, "%s: %s is given twice", path, item.Value)
			continue
		}
		seen = append(seen, item.Value)
		to := reflect.New(v.Type().Elem()).Elem()
		if r.value(item, path, to, tag) {
			r.Places[join(path, strconv.Itoa(v.Len()))] = r.place(item)
			v.Set(reflect.Append(v, to))
		}
	}
	return true
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
