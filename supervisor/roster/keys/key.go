package keys

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Key is one key of a file, for people.
type Key struct {
	Path     string // services.<name>.env.<VARIABLE>
	May      string // what it may be
	Doc      string
	Example  string // as in YAML
	Default  string // what holds when it is not said, in words or as in YAML
	Null     string // what null means; empty if it is no value
	Changing string // what a change of it does to what runs
	Flag     string
	Env      string
	Group    bool // a mapping of further keys
}

// List returns every key of the file that a struct stands for, each behind the one that it is in.
func List(file any) (out []Key) {
	walk(reflect.TypeOf(file), "", "", "", func(k Key) { out = append(out, k) })
	return out
}

// Find returns the key that a path names, with the names that it has in place of <name>, or the one that is nearest.
func Find(file any, path string) (found Key, nearest string) {
	words, best := strings.Split(path, "."), []string{}
	for _, k := range List(file) {
		pattern := strings.Split(k.Path, ".")
		if len(pattern) != len(words) {
			continue
		}
		filled := fill(pattern, words)
		if filled == path {
			return k, ""
		}
		best = append(best, filled)
	}
	return Key{}, Nearest(path, best)
}

// fill puts words where the pattern leaves them open.
func fill(pattern, words []string) string {
	out := make([]string, len(pattern))
	for i, p := range pattern {
		out[i] = p
		if strings.HasPrefix(p, "<") {
			out[i] = words[i]
		}
	}
	return strings.Join(out, ".")
}

func walk(t reflect.Type, path, without, changing string, yield func(Key)) {
	for _, f := range fieldsOf(t, without) {
		k := Key{
			Path: join(path, f.name), May: may(f.typ, f.tag), Doc: f.tag.Get("doc"), Example: f.tag.Get("example"), Default: f.tag.Get("default"),
			Null: f.tag.Get("null"), Changing: f.tag.Get("changing"), Flag: f.tag.Get("flag"), Env: f.tag.Get("env"),
		}
		if k.Default == "" {
			k.Default = f.tag.Get("unset")
		}
		if k.Changing == "" {
			k.Changing = changing
		}
		inner := f.typ
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Map {
			k.Path, inner = join(k.Path, "<"+f.tag.Get("key")+">"), inner.Elem()
			k.May = may(inner, f.tag)
		}
		k.Group = inner.Kind() == reflect.Struct && !isText(inner)
		yield(k)
		if k.Group {
			walk(inner, k.Path, f.tag.Get("without"), k.Changing, yield)
		}
	}
}

// may is what a value may be, in words.
func may(t reflect.Type, tag reflect.StructTag) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	what, _, _ := notationOf(t)
	switch {
	case isText(t):
		return what
	case t == reflect.TypeFor[time.Duration]():
		low, high := durations(tag)
		return fmt.Sprintf("a duration, %s..%s", Duration(low), Duration(high))
	case tag.Get("enum") != "":
		return strings.Join(split(tag.Get("enum")), " or ")
	case tag.Get("only") != "":
		return tag.Get("only")
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		low, high := numbers(tag)
		return fmt.Sprintf("a number, %d..%d", low, high)
	case reflect.Slice:
		if tag.Get("one") != "" {
			return may(t.Elem(), tag) + ", or a list of such"
		}
		return "a list; each entry: " + may(t.Elem(), tag)
	case reflect.Struct, reflect.Map:
		return "a mapping"
	}
	if wants := tag.Get("wants"); wants != "" {
		return wants
	}
	return what
}
