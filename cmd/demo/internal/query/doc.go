// Package query reads the search language of the demo, a part of Sourcegraph's.
//
//	func main repo:^github\.com/x/ -file:_test\.go$ lang:go case:yes count:all
//	"two words"   content:"repo:"   patternType:regexp err(or)?   /err(or)?/
//	repo:x@v1.0   rev:main   type:path   type:repo
//
// Words stand next to each other with one space between (patternType:literal, the default, also called standard), or with anything between (patternType:regexp).
// Filters are regular expressions (RE2), case-insensitive as Sourcegraph's. Without a pattern, filters alone list files, or repositories.
// Everything that cannot be honoured is an [Error]: nothing is ignored.
package query
