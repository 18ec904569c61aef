// Package gitserver is the demo's gitserver: it keeps bare clones of repositories and answers questions about them over HTTP.
//
//	Update ─▶ (join a running update of the same repository) ─▶ clone to .tmp ─▶ rename into place
//	                                                       └──▶ fetch ─▶ corrupt? ─▶ fsck ─▶ clone to .tmp ─▶ exchange
//	Resolve, Archive, ReadFile, ReadDir ─▶ one git process each, in a process group of its own, killed when the caller goes
//	janitor ─▶ stale temporary files and locks, clones without HEAD, repacking
//
// On disk, below SRC_REPOS_DIR: <repository name>/.git is a clone, .tmp/ holds what is not in place yet, .gitserver/ the instance lock and git's settings.
//
// A clone is in place whole or not at all, and stays in place until a better one is whole. Passwords of clone URLs reach git through its environment:
// they are in no command line, in no file, in no log and in no error.
//
// The package does not decide when to update (the worker does), and knows nothing of users.
package gitserver
