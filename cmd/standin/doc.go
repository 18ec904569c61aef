// Command standin stands in for the programs of a Sourcegraph release in tests, one by one: it is the program that its own name says.
//
// Each asks of its surroundings what the real one needs, listens where the real one would (on all interfaces, too, when nobody told it
// otherwise), and behaves at its start, at the loss of a neighbour and at its end as was measured on the real ones of 3.38 or as their
// sources say. What it finds wrong it says as the real one would, and exits with the same code. It knows nothing of the definitions that it is run
// by: what both know of a program was written down twice, so that one can hold the other.
//
// PostgreSQL and Redis are real beside it; a release of stand-ins is a directory of hard links to this binary with a manifest.json above.
package main
