package services

import (
	"cmp"
	"strconv"
	"strings"
)

// Contains reports whether the range holds this version of this product.
func (r Releases) Contains(product, version string) bool {
	return r.Product == product &&
		(r.From == "" || CompareVersions(version, r.From) >= 0) &&
		(r.Until == "" || CompareVersions(version, r.Until) < 0)
}

// String is the range as people write it: sourcegraph [3.38, 6.4).
func (r Releases) String() string {
	switch {
	case r.From == "" && r.Until == "":
		return r.Product
	case r.Until == "":
		return r.Product + " from " + r.From
	case r.From == "":
		return r.Product + " before " + r.Until
	}
	return r.Product + " [" + r.From + ", " + r.Until + ")"
}

// CompareVersions compares dotted versions number by number: 3.9 < 3.38 = 3.38.0. What follows a "-" or "+" counts only between equal numbers,
// where a version with it is the older one (5.0.0-rc.1 < 5.0.0).
func CompareVersions(a, b string) int {
	a, arest := cutRest(a)
	b, brest := cutRest(b)
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if c := cmp.Compare(number(x), number(y)); c != 0 {
			return c
		}
	}
	if (arest == "") != (brest == "") {
		return cmp.Compare(len(brest), len(arest))
	}
	return strings.Compare(arest, brest)
}

// cutRest returns the numbers and the rest.
func cutRest(v string) (numbers, rest string) {
	v = strings.TrimPrefix(v, "v")
	if i := strings.IndexAny(v, "-+"); i >= 0 {
		v, rest = v[:i], v[i:]
	}
	if strings.HasPrefix(rest, "+") {
		rest = "" // build metadata orders nothing
	}
	return v, rest
}

// number is a part of a version; what is none counts as 0.
func number(part string) int {
	n, _ := strconv.Atoi(part)
	return n
}
