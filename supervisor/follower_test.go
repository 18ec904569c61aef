package supervisor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// saved is a configuration on disk, and a follower of it, in a bubble of time.
type saved struct {
	config  api.Config
	emptied string
	auto    bool
	changes chan struct{}
	told    []api.Config
	applied []time.Duration // since the beginning
}

func follow(t *testing.T, auto bool) *saved {
	s := &saved{auto: auto, changes: make(chan struct{})}
	begin := time.Now()
	f := follower{
		compare: func() (api.Config, string) { return s.config, s.emptied },
		auto:    func() bool { return s.auto },
		found:   func(c api.Config) { s.told = append(s.told, c) },
		apply: func(context.Context) {
			s.applied = append(s.applied, time.Since(begin))
			s.config, s.emptied = api.Config{State: api.ConfigApplied}, ""
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _ = f.run(ctx, s.changes, false) }()
	t.Cleanup(cancel)
	return s
}

// save is a change that is noticed, and looked at.
func (s *saved) save(state, emptied string) {
	s.config, s.emptied = api.Config{State: state}, emptied
	s.changes <- struct{}{}
	synctest.Wait()
}

func (s *saved) wait(d time.Duration) {
	time.Sleep(d) // in the bubble
	synctest.Wait()
}

// TestHalfSavedConfigurationIsNotApplied: with auto_apply a file that an editor has truncated, moved away or left invalid is held; it is applied
// once it is whole, or when it has stayed empty for long enough to be meant.
func TestHalfSavedConfigurationIsNotApplied(t *testing.T) {
	const file = "services.d/hello.yaml"
	for name, tc := range map[string]struct {
		auto bool
		edit func(s *saved)
		want []time.Duration
	}{
		"whole":       {true, func(s *saved) { s.save(api.ConfigChanged, "") }, []time.Duration{0}},
		"stays empty": {true, func(s *saved) { s.save(api.ConfigChanged, file) }, []time.Duration{holdEmptied}},
		"empty at first": {true, func(s *saved) {
			s.save(api.ConfigChanged, file)
			s.wait(9 * time.Second)
			s.save(api.ConfigChanged, "")
		}, []time.Duration{9 * time.Second}},
		"comes back as it was": {true, func(s *saved) {
			s.save(api.ConfigChanged, file)
			s.wait(9 * time.Second)
			s.save(api.ConfigApplied, "")
		}, nil},
		"emptied twice": {true, func(s *saved) { // the second time counts from anew
			s.save(api.ConfigChanged, file)
			s.wait(9 * time.Second)
			s.save(api.ConfigChanged, file)
		}, []time.Duration{9*time.Second + holdEmptied}},
		"invalid":                   {true, func(s *saved) { s.save(api.ConfigInvalid, "") }, nil},
		"empty, then invalid":       {true, func(s *saved) { s.save(api.ConfigChanged, file); s.wait(time.Second); s.save(api.ConfigInvalid, "") }, nil},
		"invalid, then whole":       {true, func(s *saved) { s.save(api.ConfigInvalid, ""); s.wait(time.Second); s.save(api.ConfigChanged, "") }, []time.Duration{time.Second}},
		"auto_apply taken away":     {true, func(s *saved) { s.save(api.ConfigChanged, file); s.auto = false }, nil},
		"nobody wants it":           {false, func(s *saved) { s.save(api.ConfigChanged, ""); s.save(api.ConfigChanged, file) }, nil},
		"applied by hand meanwhile": {true, func(s *saved) { s.save(api.ConfigChanged, file); s.config = api.Config{State: api.ConfigApplied} }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := follow(t, tc.auto)
				tc.edit(s)
				s.wait(time.Hour)
				require.Equal(t, tc.want, s.applied)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := follow(t, true)
		s.save(api.ConfigChanged, file)
		require.Len(t, s.told, 1)
		require.Equal(t, file+" has lost its whole content; it is applied when it stays so for 10s", s.told[0].Fault)
		s.wait(holdEmptied)
		require.Len(t, s.told, 2)
		require.Empty(t, s.told[1].Fault)
	})
}
