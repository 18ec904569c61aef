package main

// Exit codes, the same for all verbs.
const (
	exitOK           = 0
	exitInternal     = 1
	exitUsage        = 2 // wrong usage or invalid configuration
	exitNotRight     = 3 // not as it should be
	exitWarnings     = 4 // only with --strict
	exitInconclusive = 5
	exitRefused      = 6
	exitNoAppliance  = 7
)
