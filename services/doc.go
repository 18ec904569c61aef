// Package services says what every service is, and how a product is wired from them. It does no I/O.
//
//	Definition ──At(product, version)──▶ effective ──Override (the site's file)──▶ effective
//	                                                                                   │
//	         release, programs, addresses, directories, secrets' names ──▶ Build ──────┴──▶ Plan
//
// A [Definition] is data, one file per service. A [Plan] is what the engine walks: absolute programs, complete environments, files, addresses;
// only secrets are still by reference. The same input gives the same plan, byte for byte, and equal hashes run the same programs in the same way.
//
// Finding programs, ports, files and secrets on a machine is the work of supervisor/roster; starting anything is the engine's.
package services
