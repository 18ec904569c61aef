package main

import (
	"context"
	"errors"
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// resumeWait is how long a follower waits for the next supervisor: stage 0 starts one within seconds.
const resumeWait = 10 * time.Second

// resume runs attempt, and again when the supervisor went away meanwhile. attempt says whether it was answered.
func resume(ctx context.Context, follow bool, attempt func(again bool) (bool, error)) error {
	heard, once := time.Now(), false
	for {
		answered, err := attempt(once)
		var broken *api.Broken
		var none *api.NoAppliance
		if answered || errors.As(err, &broken) {
			heard, once = time.Now(), true
		}
		if !follow || err == nil || !errors.As(err, &broken) && !(once && errors.As(err, &none)) || time.Since(heard) > resumeWait {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollEvery):
		}
	}
}
