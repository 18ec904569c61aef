package keys

import (
	"reflect"
	"time"

	"go.yaml.in/yaml/v3"
)

// Schema describes the file that a struct stands for, as JSON Schema of draft 2020-12, for editors and other tools.
// It is as strict as the decoder but for what only the machine can tell, such as whether a file is there, and for what keys say of each other.
func Schema(file any, title string) map[string]any {
	s := schema(reflect.TypeOf(file), "")
	s["$schema"], s["title"] = "https://json-schema.org/draft/2020-12/schema", title
	return s
}

func schema(t reflect.Type, tag reflect.StructTag) map[string]any {
	if t.Kind() == reflect.Pointer {
		s := schema(t.Elem(), tag)
		if tag.Get("null") != "" {
			s["type"] = append(kindsIn(s), "null")
		}
		return s
	}
	return typeSchema(t, tag)
}

func typeSchema(t reflect.Type, tag reflect.StructTag) map[string]any {
	switch {
	case isText(t):
		_, _, pattern := notationOf(t)
		return textSchema(pattern)
	case t == reflect.TypeFor[time.Duration]():
		return map[string]any{"anyOf": []any{map[string]any{"type": "string", "pattern": duration}, map[string]any{"const": 0}}}
	}
	switch t.Kind() {
	case reflect.Struct:
		return structSchema(t, tag)
	case reflect.Map:
		s := map[string]any{"type": "object", "additionalProperties": schema(t.Elem(), tag)}
		if pattern := tag.Get("keypattern"); pattern != "" {
			s["propertyNames"] = map[string]any{"pattern": pattern}
		}
		return s
	case reflect.Slice:
		return listSchema(t, tag)
	case reflect.Bool:
		return boolSchema(tag)
	case reflect.Int, reflect.Int64:
		low, high := numbers(tag)
		return map[string]any{"type": "integer", "minimum": low, "maximum": high}
	}
	return wordSchema(tag)
}

// kindsIn are the kinds of value that a schema takes; it may name one, or several in a list.
func kindsIn(s map[string]any) []any {
	if list, ok := s["type"].([]any); ok {
		return list
	}
	return []any{s["type"]}
}

// duration is what Go reads, but for those below 0, which no key takes. src: Go: time.ParseDuration
const duration = `^\+?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$|^[-+]?0$`

// textSchema takes numbers and booleans for the text that YAML has them of, where the pattern does.
func textSchema(pattern string) map[string]any {
	s, kinds := map[string]any{"pattern": pattern}, []any{"string"}
	if matches(pattern, "1") {
		kinds = append(kinds, "number")
		if !matches(pattern, "-1") {
			s["minimum"] = 0
		}
	}
	if matches(pattern, "true") {
		kinds = append(kinds, "boolean")
	}
	s["type"] = kinds
	return s
}

func structSchema(t reflect.Type, tag reflect.StructTag) map[string]any {
	properties := map[string]any{}
	for _, f := range fieldsOf(t, tag.Get("without")) {
		s := schema(f.typ, f.tag)
		s["description"] = f.tag.Get("doc")
		if example := f.tag.Get("example"); example != "" {
			s["examples"] = []any{plain(example)}
		}
		if value := f.tag.Get("default"); value != "" {
			s["default"] = plain(value)
		}
		properties[f.name] = s
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

func listSchema(t reflect.Type, tag reflect.StructTag) map[string]any {
	item := schema(t.Elem(), tag)
	list := map[string]any{"type": "array", "items": item, "uniqueItems": tag.Get("unique") != ""}
	if tag.Get("one") != "" {
		return map[string]any{"anyOf": []any{item, list}}
	}
	return list
}

// plain is YAML of a tag as a value that JSON can hold.
func plain(text string) (value any) {
	must(0, yaml.Unmarshal([]byte(text), &value))
	return value
}

func boolSchema(tag reflect.StructTag) map[string]any {
	if only := tag.Get("only"); only != "" {
		return map[string]any{"const": plain(only)}
	}
	return map[string]any{"type": "boolean"}
}

// wordSchema takes any text unless only some are allowed.
func wordSchema(tag reflect.StructTag) map[string]any {
	s := map[string]any{"type": []any{"string", "number", "boolean"}}
	switch {
	case tag.Get("enum") != "":
		s = map[string]any{"type": "string", "enum": split(tag.Get("enum"))}
	case tag.Get("pattern") != "":
		s = textSchema(tag.Get("pattern"))
	}
	if format := tag.Get("format"); format != "" {
		s["format"] = format
	}
	return s
}
