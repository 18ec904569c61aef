package searcher

import (
	"fmt"
	"regexp"
)

// selection says which paths a request is about.
type selection struct {
	include, exclude []*regexp.Regexp
	langs, notLangs  []language
}

func newSelection(req Request) (selection, error) {
	var s selection
	var err error
	if s.include, err = compileAll("file", req.IncludePaths, req.CaseSensitive); err != nil {
		return s, err
	}
	if s.exclude, err = compileAll("-file", req.ExcludePaths, req.CaseSensitive); err != nil {
		return s, err
	}
	if s.langs, err = findLanguages(req.Langs); err != nil {
		return s, err
	}
	s.notLangs, err = findLanguages(req.NotLangs)
	return s, err
}

func compileAll(field string, patterns []string, caseSensitive bool) ([]*regexp.Regexp, error) {
	all := make([]*regexp.Regexp, len(patterns))
	for i, p := range patterns {
		flags := "(?i)"
		if caseSensitive {
			flags = ""
		}
		re, err := regexp.Compile(flags + p)
		if err != nil {
			return nil, badPattern(fmt.Sprintf("%s:%s", field, p), err)
		}
		all[i] = re
	}
	return all, nil
}

// takes says whether a path is selected: all of include, none of exclude, one of the languages if any were named, none of the others.
func (s selection) takes(path string) bool {
	for _, re := range s.include {
		if !re.MatchString(path) {
			return false
		}
	}
	for _, re := range s.exclude {
		if re.MatchString(path) {
			return false
		}
	}
	if len(s.langs) > 0 && !oneHas(s.langs, path) {
		return false
	}
	return !oneHas(s.notLangs, path)
}

func oneHas(langs []language, path string) bool {
	for _, l := range langs {
		if l.has(path) {
			return true
		}
	}
	return false
}
