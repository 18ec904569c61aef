// Package conf is how the demo's services get their configuration: the frontend owns it and serves it on its internal port, everyone else asks there.
//
//	c, err := conf.Wait(ctx, conf.FrontendInternal()) // blocks until the frontend has answered once
//	...
//	err = conf.WatchDSN(ctx, conf.FrontendInternal(), c) // returns a *SettingsChanged when the database moved: the service then exits 1
//
// A restart by the supervisor is how a service takes up a new database; the process does not try to swap it while running.
package conf
