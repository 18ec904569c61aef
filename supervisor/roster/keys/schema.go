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
		if kind, ok := s["type"]; ok && tag.Get("null") != "" {
			s["type"] = []any{kind, "null"}
		}
		return s
	}
	return typeSchema(t, tag)
}

func typeSchema(t reflect.Type, tag reflect.StructTag) map[string]any {
	switch {
	case isText(t):
		_, _, pattern := notationOf(t)
		return map[string]any{"type": kindsOf(pattern), "pattern": pattern}
	case t == reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`}
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

// kindsOf adds number for a text that may be written as one: YAML takes 0.5 for a number.
func kindsOf(pattern string) any {
	if pattern != "." && matches(pattern, "1") {
		return []any{"string", "number"}
	}
	return "string"
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

// wordSchema takes numbers and booleans for text, as the decoder does, unless only some texts are allowed.
func wordSchema(tag reflect.StructTag) map[string]any {
	s := map[string]any{"type": "string"}
	switch {
	case tag.Get("enum") != "":
		s["enum"] = split(tag.Get("enum"))
	case tag.Get("pattern") != "":
		s["pattern"] = tag.Get("pattern")
	default:
		s["type"] = []any{"string", "number", "boolean"}
	}
	if format := tag.Get("format"); format != "" {
		s["format"] = format
	}
	return s
}
