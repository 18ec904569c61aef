package supervisor_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// TestE35StrangerOnThePortIsNotTakenForTheService: it answers every probe as the service would; the service is ready only once the listener
// is its own, be it a helper's.
func TestE35StrangerOnThePortIsNotTakenForTheService(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		address := freeAddress(t)
		probe := "ports: {http: " + portOf(address) + "}\nready: {http: /, port: http, every: 50ms}"
		a.service("web", "latehttp", probe, "TEST_ADDR="+address, "TEST_FILE="+a.file("go"))
		a.run()
		a.await("web", "has begun", func(s *api.Service) bool { return s.PID != 0 })
		ln, err := net.Listen("tcp", address)
		require.NoError(t, err)
		stranger := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
		go stranger.Serve(ln)
		defer stranger.Close()
		web := a.await("web", "names the stranger", func(s *api.Service) bool { return s.State == api.Starting && s.Reason != "" })
		require.Contains(t, web.Reason, address+" is answered by")
		if a.uid == 0 {
			require.Contains(t, web.Reason, "process "+strconv.Itoa(os.Getpid()))
		}
		require.NoError(t, stranger.Close())
		require.NoError(t, os.WriteFile(a.file("go"), nil, 0o644))
		web = a.awaitState("web", api.Ready)
		require.Equal(t, uint64(1), web.Run)
		require.Empty(t, web.Reason)
	})
}

// TestHelperMayListen: the listener is a child of the main process.
func TestHelperMayListen(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		address := freeAddress(t)
		probe := "ports: {http: " + portOf(address) + "}\nready: {http: /, port: http, every: 50ms}"
		a.service("web", "helperhttp", probe, "TEST_ADDR="+address)
		a.run()
		a.awaitState("web", api.Ready)
	})
}

// TestListenerIsSeenWithoutPtrace: as in a container, root may not look at the descriptors of others, and still tells its own from strangers.
func TestListenerIsSeenWithoutPtrace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has services of other users")
	}
	capsh, err := exec.LookPath("capsh")
	if err != nil {
		t.Skip("no capsh in PATH")
	}
	a := newAppliance(t)
	address := freeAddress(t)
	a.service("web", "http", "ports: {http: "+portOf(address)+"}\nready: {http: /, port: http, every: 50ms}", "TEST_ADDR="+address)
	a.before = []string{capsh, "--drop=cap_sys_ptrace", "--", "-c", `exec "$0" "$@"`}
	a.run()
	a.awaitState("web", api.Ready)
	require.NotContains(t, a.out.String(), "readiness is taken from the answer alone")
}

// TestAppliancesStartedAtOnceShareNoPort: their services are each other's strangers.
func TestAppliancesStartedAtOnceShareNoPort(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		b := newAppliance(t)
		if a.uid != 0 {
			b.asUser(a.uid)
		}
		for _, one := range []*appliance{a, b} {
			for _, name := range []string{"one", "two", "three"} {
				one.service(name, "http", "ports: {http: 0}\nready: {http: /, port: http, every: 50ms}", "TEST_ADDR={{ .Address.http }}")
			}
		}
		a.run()
		b.run()
		whose := map[string]string{}
		for _, one := range []*appliance{a, b} {
			one.awaitReady("one", "two", "three")
			for _, s := range one.status().Services {
				require.Empty(t, whose[s.Addresses["http"]], "%s of %s", s.Name, one.data)
				require.Equal(t, uint64(1), s.Run, "nobody had to try twice")
				whose[s.Addresses["http"]] = one.data
			}
		}
	})
}
