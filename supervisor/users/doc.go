// Package users decides which user each service runs as, and sees that its files are that user's.
//
//	Detect ─▶ Root:    one uid per service, kept in state/users, for ever: data belongs to it
//	       ├▶ OneUser: everything as ourselves
//	       └▶ refused: uid 0 that may neither change users nor kill them
//
// A uid is remembered under the service's name, not the account's: an account that appears later must not orphan the data.
package users
