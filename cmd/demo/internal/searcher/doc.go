// Package searcher is the demo's searcher: it searches the files of any commit, without an index.
//
//	request ─▶ archive in the cache? ──no──▶ tar from gitserver (once, however many ask) ─▶ written beside, renamed
//	               │ yes                                                                        │
//	               └────────────▶ files read in order by a few workers ◀────────────────────────┘
//	                                  │ literal prefilter, then the regular expression line by line
//	                                  ▼
//	                      matches in the order of paths, one JSON object a line, flushed when nothing more is ready
//
// A search sees lines, like git grep: counts are exact, and what differs from it is said in the [Summary] (binary files, files above 16 MiB).
// Memory is bounded by workers times the largest file. A search ends when its client goes.
//
// The cache is a directory of one file per commit, evicted by size, least recently used first. Every file in it carries checksums: a damaged one is
// found before anything in it is believed, fetched again, and the search goes on where it was.
package searcher
