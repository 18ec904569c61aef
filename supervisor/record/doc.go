// Package record keeps one small file per instance that says what runs, so that a new stage 1 can take it over.
//
//	Write: the slot that is not in use ─▶ done     one write(2), 5 µs; no fsync: it must survive the supervisor, not the machine
//	  └ first one, or too small: beside ─▶ rename
//	  └ disk full ─▶ *FullError ─▶ Memfd, which the caller stores at stage 0 ─▶ FromMemfd
//	Load:  every record; a damaged or newer file is moved to quarantine/ and named, never fatal (E67)
//
// A file has two slots of one size, each with a checksum, a count and a JSON document; the valid one with the higher count is the record.
// A kill in the middle of a write damages the other one only. A rename for every change costs 50 µs on tmpfs and 240 µs on ext4, which writes
// the blocks out when a file is replaced (measured); and a file of full size can be changed on a full disk.
//
// The record and not the event store is what adoption trusts: it is written before the fork, with the pid added right after it, and again
// at every change of state. The package reads and writes; it judges nothing.
package record
