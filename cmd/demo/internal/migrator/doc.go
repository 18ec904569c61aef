// Package migrator brings the demo's database to the schema of this release.
//
//	mark version N dirty (committed) ─▶ one transaction: statements of N, mark N clean ─▶ next
//	                          └─ killed or refused: N stays dirty, every later run refuses and names the repair
//
// Two migrators at once are safe: the second waits at an advisory lock, and then finds nothing to do. A migration that began is not interrupted by TERM.
package migrator
