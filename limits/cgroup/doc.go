// Package cgroup gives each run of a service a group of its own, bounds what the group may use and proves that it is empty.
//
// [Open] finds out what this machine allows, once, and never fails for lack of it; [Tree.Grade] says what is in force.
//
//	<ours>/supervisor         the leaf that we sit in
//	<ours>/<service>-<n>.<run>
//
// Ours is the subtree that was delegated to us (by systemd, by a container), else a directory <name> of our own:
//
//	v2      below our own cgroup, or where that one holds other processes, its nearest ancestor that may have children with controllers
//	v1      below our own cgroup in the hierarchies of memory, cpu and pids, so that a limit around us still holds, and
//	        in the cgroup2 tree without controllers, where there is one: it tells when a group is empty and kills it in one write
//	soft    nowhere, or only in such a cgroup2 tree: no budget is in force, and [Tree.Contains] says whether groups exist at all
//
// A process gets into its group at birth: by [Group.SpawnFD] and CLONE_INTO_CGROUP in cgroup2, on v1 by [Group.Join] of the thread
// that forks, or its writing "0" to [Group.TaskFiles]. Where the former is denied (E29), whoever forks stops the child at its exec
// and writes it to cgroup.procs of the same descriptor before it runs.
//
// The package does not watch pressure, plan budgets or end a service politely; it knows no service by name.
package cgroup
