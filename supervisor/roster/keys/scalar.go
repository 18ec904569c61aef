package keys

import (
	"encoding"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Notation is a value that people write in a way of its own: what it is, how one looks, and what all of them match.
type Notation interface {
	encoding.TextUnmarshaler
	Notation() (what, example, pattern string)
}

func notationOf(t reflect.Type) (what, example, pattern string) {
	if n, ok := reflect.New(t).Interface().(Notation); ok {
		return n.Notation()
	}
	return "a text", "", ""
}

func (r *Reader) notation(n *yaml.Node, path string, v reflect.Value) bool {
	what, example, _ := notationOf(v.Type())
	text, ok := r.text(n, path, fmt.Sprintf("%s such as %s", what, example))
	if !ok {
		return false
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		r.At(n, "%s: %v", path, err)
		return false
	}
	if p, is := v.Addr().Interface().(Placed); is {
		if err := p.Place(filepath.Dir(r.File)); err != nil {
			r.At(n, "%s: %v", path, err)
			return false
		}
	}
	return true
}

// text reads any scalar that people would take for text; numbers and dates are taken as they are written.
func (r *Reader) text(n *yaml.Node, path, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.At(n, "%s must be %s, not %s", path, what, describe(n))
		return "", false
	}
	if strings.ContainsRune(n.Value, 0) {
		r.At(n, "%s holds a NUL byte", path)
		return "", false
	}
	return n.Value, true
}

func (r *Reader) scalar(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) bool {
	switch v.Kind() {
	case reflect.String:
		return r.word(n, path, v, tag)
	case reflect.Bool:
		return r.boolean(n, path, v, tag)
	case reflect.Int, reflect.Int64:
		if v.Type() == reflect.TypeFor[time.Duration]() {
			return r.duration(n, path, v, tag)
		}
		return r.number(n, path, v, tag)
	}
	panic("keys: no key can be a " + v.Type().String()) // the first test of such a field sees it
}

func (r *Reader) word(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) bool {
	text, ok := r.text(n, path, "a text")
	if !ok {
		return false
	}
	if allowed := split(tag.Get("enum")); allowed != nil && !slices.Contains(allowed, text) {
		r.At(n, "%s: %q is none of: %s", path, text, strings.Join(allowed, ", "))
		return false
	}
	wrong := tag.Get("pattern") != "" && !matches(tag.Get("pattern"), text)
	if tag.Get("format") == "regex" {
		_, err := regexp.Compile(text)
		wrong = wrong || err != nil
	}
	if wrong {
		r.At(n, "%s: %q is not %s", path, text, tag.Get("wants"))
		return false
	}
	v.SetString(text)
	return true
}

func (r *Reader) boolean(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) bool {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		r.At(n, "%s must be true or false, not %s", path, describe(n))
		return false
	}
	if only := tag.Get("only"); only != "" && !strings.EqualFold(n.Value, only) {
		r.At(n, "%s: %s; leave it out instead", path, n.Value)
		return false
	}
	v.SetBool(strings.EqualFold(n.Value, "true"))
	return true
}

func (r *Reader) number(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) bool {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
		r.At(n, "%s must be a whole number, not %s", path, describe(n))
		return false
	}
	if !matches(`^-?(0|[1-9][0-9]*)$`, n.Value) { // YAML takes 010 for 8, and 0x10 and 1_000 for numbers
		r.At(n, "%s: write %s as a plain decimal number", path, n.Value)
		return false
	}
	low, high := numbers(tag)
	number, err := strconv.ParseInt(n.Value, 10, 64)
	if err != nil || number < low || number > high {
		r.At(n, "%s: %s is outside %d..%d", path, n.Value, low, high)
		return false
	}
	v.SetInt(number)
	return true
}

func (r *Reader) duration(n *yaml.Node, path string, v reflect.Value, tag reflect.StructTag) bool {
	text, ok := r.text(n, path, "a duration such as 10s")
	if !ok {
		return false
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		r.At(n, "%s: %q is no duration; write 500ms, 10s or 2m", path, text)
		return false
	}
	if low, high := durations(tag); d < low || d > high {
		r.At(n, "%s: %s is outside %s..%s", path, text, Duration(low), Duration(high))
		return false
	}
	v.SetInt(int64(d))
	return true
}

// numbers are the bounds of a number: those of its tag, else all that there are from 0.
func numbers(tag reflect.StructTag) (low, high int64) {
	high = math.MaxInt32
	if text := tag.Get("min"); text != "" {
		low = must(strconv.ParseInt(text, 10, 64))
	}
	if text := tag.Get("max"); text != "" {
		high = must(strconv.ParseInt(text, 10, 64))
	}
	return low, high
}

// durations are the bounds of a duration: those of its tag, else up to a day.
func durations(tag reflect.StructTag) (low, high time.Duration) {
	high = 24 * time.Hour
	if text := tag.Get("min"); text != "" {
		low = must(time.ParseDuration(text))
	}
	if text := tag.Get("max"); text != "" {
		high = must(time.ParseDuration(text))
	}
	return low, high
}

// must takes a constant of a tag; a test reads every one of them.
func must[T any](value T, err error) T {
	if err != nil {
		panic("keys: " + err.Error())
	}
	return value
}

// Duration writes a duration without its zero parts: 24h, 1m30s.
func Duration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func matches(pattern, text string) bool { return regexp.MustCompile(pattern).MatchString(text) }
