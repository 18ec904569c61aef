// Package roster finds out what is to run on this machine, and hands it over as one immutable plan.
//
//	appliance.yaml, services.d/*.yaml ─┐
//	release directory, active pointer ─┤
//	programs of the host ──────────────┼─▶ Load ─▶ services.Build ─▶ Roster{Plan, Site, Secrets, Warnings}
//	state/addresses, free ports ───────┤
//	state/secrets ─────────────────────┘
//
// It promises: every fault of the files is reported at once, each with file, line and column; nothing that is written in them is ignored;
// addresses, secrets and the release stay what they were at the first start; a release is installed whole or not at all; a dry run writes nothing.
//
// It starts no service, opens no listener that stays, and changes no account: that is the engine's and supervisor/process's work.
package roster
