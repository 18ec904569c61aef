// Package extsvc reads the configuration of a code host of kind OTHER: JSON with comments that names repositories.
//
//	{"url": "https://git.example.com", "repos": ["team/a", "team/b"]}
//	{"repos": ["file:///srv/git/one.git", "git@git.example.com:two.git"]}
package extsvc
