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
// Each repository belongs to one of the gitservers, by [Rendezvous]. When their number changes it moves:
//
//	worker ─(Update at the new owner, naming the holder)─▶ copy from the holder, else clone from the code host ─▶ fetch ─▶ the worker notes the owner as holder
//	readers ─▶ branches: the holder that the database names, then the owner ── commits: whoever has them
//	janitor of the old one ─▶ the owner's clone is no older? ─▶ the owner checks all of it ─▶ ours is removed
//
// A holder that is no gitserver any more cannot be asked: until the owner has fetched, the repository counts as being cloned, whatever lies on the owner's disk.
//
// The package does not decide when to update (the worker does), and knows nothing of users.
package gitserver
