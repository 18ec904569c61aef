package gitserver

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// listed is an [Entry] with the object it names.
type listed struct {
	Entry
	hash string
}

// parseTree reads what "git ls-tree -z -l" prints: mode, type, hash and size before a tab, the path as it is after it, and a NUL.
func parseTree(out string) ([]listed, error) {
	var all []listed
	for record := range strings.SplitSeq(out, "\x00") {
		if record == "" {
			continue
		}
		meta, file, ok := strings.Cut(record, "\t")
		fields := strings.Fields(meta)
		if !ok || len(fields) != 4 {
			return nil, fmt.Errorf("read the listing of a tree: %q is no entry", record)
		}
		e, err := parseEntry(fields, file)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func parseEntry(fields []string, file string) (listed, error) {
	mode, err := strconv.ParseUint(fields[0], 8, 32)
	if err != nil {
		return listed{}, fmt.Errorf("read the mode of %q: %w", file, err)
	}
	size := int64(0)
	if fields[3] != "-" {
		if size, err = strconv.ParseInt(fields[3], 10, 64); err != nil {
			return listed{}, fmt.Errorf("read the size of %q: %w", file, err)
		}
	}
	e := Entry{Name: path.Base(file), Path: file, Mode: uint32(mode), Type: Type(fields[1]), Size: size}
	return listed{Entry: e, hash: fields[2]}, nil
}

func plain(all []listed) []Entry {
	entries := make([]Entry, len(all))
	for i, l := range all {
		entries[i] = l.Entry
	}
	return entries
}
