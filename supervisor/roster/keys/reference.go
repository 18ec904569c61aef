package keys

import (
	"fmt"
	"strings"
)

// Reference is the page of all keys of a file in Markdown, made from the same tags that the decoder obeys.
func Reference(file any) string {
	var b strings.Builder
	b.WriteString("| key | what it does | it may be | when it is not said | example | a change of it |\n|---|---|---|---|---|---|\n")
	for _, k := range List(file) {
		if k.Group && k.Null == "" {
			fmt.Fprintf(&b, "| **`%s`** | %s | | | | |\n", k.Path, k.Doc)
			continue
		}
		may := k.May
		if k.Null != "" {
			may += "; null " + k.Null
		}
		fmt.Fprintf(&b, "| `%s` | %s%s | %s | %s | %s | %s |\n", k.Path, k.Doc, instead(k), bars(may), bars(k.Default), code(k.Example), k.Changing)
	}
	return b.String()
}

// instead names what wins over the file.
func instead(k Key) string {
	var words []string
	if k.Flag != "" {
		words = append(words, "`"+k.Flag+"`")
	}
	if k.Env != "" {
		words = append(words, "`"+k.Env+"`")
	}
	if words == nil {
		return ""
	}
	return " (" + strings.Join(words, " and ") + " win over it)"
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + bars(text) + "`"
}

// bars keeps a text from ending its cell.
func bars(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
