package roster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// hello is the service of the public interface's page.
const hello = `hello:
  command: [/usr/local/bin/hello, --listen, "{{ .Address.http }}"]
  user: hello                       # default: the service's own
  env: {HELLO_COLOR: blue}
  ports: {http: 0}
  wants: [jaeger]                   # order only
  ready: {http: /healthz, port: http, every: 1s, timeout: 2s}
  live: {http: /healthz, port: http, failures: 3}
  stop: {signal: TERM, to: main, grace: 10s}
  restart: {delay: 0s, max: 30s, reset_after: 1s}
  replicas: 1
  budget: {memory: 256MiB, cpus: 0.5, pids: 100}
  log: {max_size: 16MiB, keep: 4}
`

func TestDropInAsDocumented(t *testing.T) {
	s := newSite(t, map[string]string{"services.d/hello.yaml": hello})
	r := s.load()
	require.Equal(t, "none", r.Plan.Release)
	require.Len(t, r.Plan.Instances, 1)
	inst := r.Plan.Instances[0]
	require.Equal(t, "hello", inst.Name())
	require.Equal(t, "/usr/local/bin/hello", inst.Program)
	require.Equal(t, []string{"/usr/local/bin/hello", "--listen", inst.Addresses["http"]}, inst.Argv)
	require.Contains(t, inst.Env, "HELLO_COLOR=blue")
	require.Equal(t, "hello", inst.User)
	require.Equal(t, services.Stop{Signal: syscall.SIGTERM, To: services.ToMain, Grace: 10 * time.Second}, inst.Stop)
	require.Equal(t, services.Restart{Max: 30 * time.Second, ResetAfter: time.Second}, inst.Restart)
	require.Equal(t, services.Budget{Memory: 256 << 20, CPUs: 0.5, Pids: 100}, inst.Budget)
	require.Equal(t, services.Log{MaxSize: 16 << 20, Keep: 4, Format: "plain"}, inst.Log)
	require.Equal(t, services.Probe{HTTP: "/healthz", Port: "http", Every: time.Second, Timeout: 2 * time.Second, Failures: 3}, *inst.Ready)
	require.Equal(t, services.Probe{HTTP: "/healthz", Port: "http", Every: 10 * time.Second, Timeout: 5 * time.Second, Failures: 3}, *inst.Live)
	require.Len(t, r.Warnings, 1)
	require.Contains(t, r.Warnings[0], "hello wants jaeger")
}

func TestSameKeysOverrideABuiltIn(t *testing.T) {
	s := newSite(t, map[string]string{"appliance.yaml": `
listen: 127.0.0.1:7081
trusted_proxies: [10.0.0.0/8, 192.0.2.7]
metrics: {listen: "127.0.0.1:9464"}
stop_timeout: 90s
log: {stdout: true}
services:
  gitserver: {replicas: 2, env: {SRC_LOG_LEVEL: dbug, NO_PROXY: ~}, budget: {memory: 1GiB}}
  postgres: {args: [-c, work_mem=16MB]}
  worker: {disabled: true}
`})
	s.release("1.0.0", nil)
	r := s.load()
	require.Equal(t, []keys.Listener{"127.0.0.1:7081"}, r.Site.Listen)
	require.Equal(t, 90*time.Second, r.Site.StopTimeout)
	require.Equal(t, "192.0.2.7/32", r.Site.TrustedProxies[1].String())
	require.True(t, *r.Site.Log.Stdout)
	byName := map[string]services.Instance{}
	for _, inst := range r.Plan.Instances {
		byName[inst.Name()] = inst
	}
	second := byName["gitserver/1"]
	require.Contains(t, second.Env, "SRC_LOG_LEVEL=dbug")
	require.NotContains(t, strings.Join(second.Env, " "), "NO_PROXY")
	require.EqualValues(t, 1<<30, second.Budget.Memory)
	require.NotEqual(t, byName["gitserver/0"].Addresses["http"], second.Addresses["http"])
	require.Contains(t, byName["frontend"].Env, "SRC_GIT_SERVERS="+byName["gitserver/0"].Addresses["http"]+" "+second.Addresses["http"])
	require.Equal(t, []string{"-c", "work_mem=16MB"}, byName["postgres"].Argv[len(byName["postgres"].Argv)-2:])
	require.False(t, byName["worker"].Wanted)
}

// TestAllFaultsAtOnce holds the texts that people see: place, thing, value, remedy.
func TestAllFaultsAtOnce(t *testing.T) {
	s := newSite(t, map[string]string{
		"appliance.yaml": `listn: 127.0.0.1:7080
listen: 7080
trusted_proxies: [10.0.0.0/40]
tls: {cert: missing.pem}
services:
  frontent:
    replicas: 0
  gitserver:
    replicas: many
    stop: {signal: TREM}
    budget: {memory: 2GB, cpus: -1}
  gitserver: {}
`,
		"services.d/bad.yaml": `hello:
  comand: [/bin/true]
  env: [A=b]
Bad_Name: {command: [/bin/true]}
postgres: {command: [/bin/true]}
probe:
  command: [bin/true]
  ready: {http: healthz, tcp: true}
  live: {log: x}
  log: {max_size: 1KiB}
`})
	_, err := Load(s.opts)
	require.Equal(t, 2, code(err))
	var faults keys.Faults
	require.ErrorAs(t, err, &faults)
	text := strings.ReplaceAll(err.Error(), filepath.Dir(s.opts.ConfigFile)+"/", "")
	for _, want := range []string{
		`appliance.yaml:1:1: unknown key "listn" in the file, did you mean "listen"?`,
		`appliance.yaml:2:9: listen: "7080" is no address; write host:port, such as 127.0.0.1:7080 or :7080`,
		`appliance.yaml:3:19: trusted_proxies: "10.0.0.0/40" is neither an IP address nor a network such as 10.0.0.0/8`,
		`appliance.yaml:4:13: tls.cert: open missing.pem: no such file or directory`,
		`appliance.yaml:7:15: services.frontent.replicas: 0 is outside 1..1000`,
		`appliance.yaml:9:15: services.gitserver.replicas must be a whole number, not "many"`,
		`appliance.yaml:10:20: services.gitserver.stop.signal: unknown signal "TREM"`,
		`appliance.yaml:11:22: services.gitserver.budget.memory: size "2GB": unknown unit "GB", use GiB`,
		`appliance.yaml:12:3: key "gitserver" is already given in line 8`,
		`services.d/bad.yaml:2:3: unknown key "comand" in services.hello, did you mean "command"?`,
		`services.d/bad.yaml:3:8: services.hello.env must be a mapping of keys to values, not a list`,
		`services.d/bad.yaml:4:1: service name "Bad_Name": use up to 40 lower-case letters`,
		`services.d/bad.yaml:5:1: postgres is a built-in service; change it under services.postgres in appliance.yaml`,
		`services.d/bad.yaml:7:12: services.probe.command: "bin/true" must be an absolute path, or a name that is looked up`,
		`services.d/bad.yaml:8:17: services.probe.ready.http: "healthz" is not a path that begins with /`,
		`services.d/bad.yaml:8:10: services.probe.ready: must ask in exactly one way: [http tcp postgres redis exec log notify]`,
		`services.d/bad.yaml:9:10: unknown key "log" in services.probe.live; there are: http, tcp, postgres, redis, exec, port`,
		`services.d/bad.yaml:10:19: services.probe.log.max_size: 1KiB is less than 64KiB`,
	} {
		require.Contains(t, text, want)
	}
	_, err = os.Stat(filepath.Join(s.opts.DataDir, "state", "addresses"))
	require.ErrorIs(t, err, os.ErrNotExist, "nothing is allocated for a configuration that is refused")
}

func TestNoYAMLNamesTheLine(t *testing.T) {
	s := newSite(t, map[string]string{"appliance.yaml": "listen: [\nservices: {}\n"})
	_, err := Load(s.opts)
	require.Equal(t, 2, code(err))
	require.Regexp(t, `appliance.yaml:\d:1: no valid YAML: `, err.Error())
}

func TestNamesOfServicesAreCheckedWhereTheyStand(t *testing.T) {
	s := newSite(t, map[string]string{
		"appliance.yaml":        "services:\n  gitservr: {replicas: 2}\n",
		"services.d/hello.yaml": "hello:\n  command: [/bin/true]\n  needs: [frontnd]\n",
	})
	s.release("1.0.0", nil)
	_, err := Load(s.opts)
	require.Equal(t, 2, code(err))
	require.ErrorContains(t, err, `appliance.yaml:2:3: services.gitservr: there is no such service, did you mean "gitserver"?`)
	require.ErrorContains(t, err, `hello.yaml:3:11: hello needs frontnd: there is no such service, did you mean "frontend"?`)
}

func TestE30CycleIsRefusedWithItsPath(t *testing.T) {
	s := newSite(t, map[string]string{"services.d/ring.yaml": `
a: {command: [/bin/true], needs: [b]}
b: {command: [/bin/true], needs: [c]}
c: {command: [/bin/true], needs: [a]}
`})
	_, err := Load(s.opts)
	require.Equal(t, 2, code(err))
	require.ErrorContains(t, err, "a → b → c → a")
	require.Contains(t, err.(*Refusal).Hint(), "services.a.needs")
}

func TestE30DisabledNeedIsRefused(t *testing.T) {
	s := newSite(t, map[string]string{"appliance.yaml": "services: {redis-cache: {disabled: true}}\n"})
	s.release("1.0.0", nil)
	_, err := Load(s.opts)
	require.Equal(t, 2, code(err))
	require.ErrorContains(t, err, "frontend needs redis-cache, which is disabled")
}

func TestSettingOfAServiceThatThisReleaseLacksIsSaid(t *testing.T) {
	s := newSite(t, map[string]string{"appliance.yaml": "services: {gitserver: {replicas: 2}}\n"})
	r := s.load()
	require.Len(t, r.Warnings, 1)
	require.Contains(t, r.Warnings[0], "appliance.yaml:1: services.gitserver has no effect: this release has no such service")
}

func TestFileThatIsNotADropInIsNamed(t *testing.T) {
	s := newSite(t, map[string]string{"services.d/hello.yml": hello, "services.d/.hello.yaml.swp": "\x00"})
	r := s.load()
	require.Empty(t, r.Plan.Instances)
	require.Len(t, r.Warnings, 1)
	require.Contains(t, r.Warnings[0], "hello.yml is not read")
}

func TestDropInCanBeOverriddenInTheSitesFile(t *testing.T) {
	s := newSite(t, map[string]string{
		"services.d/hello.yaml": "hello: {command: [/bin/true], replicas: 2}\n",
		"appliance.yaml":        "services: {hello: {env: {A: b}}}\n",
	})
	r := s.load()
	require.Len(t, r.Plan.Instances, 2)
	require.Contains(t, r.Plan.Instances[1].Env, "A=b")
	require.NotEqual(t, r.Plan.Instances[0].Dir, r.Plan.Instances[1].Dir)
}

func TestSiteSecretReachesTheEnvironmentOnlyByReference(t *testing.T) {
	s := newSite(t, map[string]string{
		"services.d/hello.yaml": `hello: {command: [/bin/true], env: {TOKEN: "{{ .Secret.token }}"}}` + "\n",
		"secrets/token":         "s3cret\n",
	})
	r := s.load()
	require.Contains(t, r.Plan.Instances[0].Env, "TOKEN=@secret{token}")
	require.Equal(t, map[string]string{"token": "s3cret"}, r.Secrets)
	full, err := services.Expand(r.Plan.Instances[0], r.Secrets)
	require.NoError(t, err)
	require.Contains(t, full.Env, "TOKEN=s3cret")
}

func TestDryRunWritesNothing(t *testing.T) {
	s := newSite(t, map[string]string{"services.d/hello.yaml": hello})
	s.release("1.0.0", nil)
	s.opts.DryRun = true
	r := s.load()
	require.Len(t, r.Plan.Instances, 9)
	_, err := os.Stat(s.opts.DataDir)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzConfiguration(f *testing.F) {
	f.Add([]byte(hello))
	f.Add([]byte("listen: 127.0.0.1:7080\nservices: {gitserver: {replicas: 2, env: {A: ~}}}\n"))
	f.Add([]byte("a: &a [x]\nb: *a\n"))
	f.Add([]byte("? [1]\n: {<<: *x}\n---\n"))
	f.Add([]byte("hello: {ready: {log: \"(\"}, ports: {http: 99999999999999999999}}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, read := range []func(*keys.Reader, *config){
			func(r *keys.Reader, c *config) {
				if top := r.Document(content); top != nil {
					c.readTop(r, top)
				}
			},
			func(r *keys.Reader, c *config) {
				if top := r.Document(content); top != nil {
					c.readDropIns(r, top)
				}
			},
		} {
			c := config{places: keys.Places{}}
			r := keys.NewReader("f.yaml")
			read(r, &c)
			for _, fault := range r.Faults {
				if fault.Message == "" || fault.Line < 0 {
					t.Errorf("a fault without a text or place: %#v", fault)
				}
			}
			if len(r.Faults) > 0 {
				continue
			}
			if _, err := c.selection("none", ""); err != nil && code(err) != CodeInvalid {
				t.Errorf("not an error of the configuration: %v", err)
			}
		}
	})
}

func TestNearest(t *testing.T) {
	known := []string{"command", "args", "env", "ports"}
	require.Equal(t, "command", keys.Nearest("comand", known))
	require.Equal(t, "ports", keys.Nearest("prots", known))
	require.Equal(t, "env", keys.Nearest("enf", known))
	require.Empty(t, keys.Nearest("completely-else", known))
}

func TestFaultsAreTyped(t *testing.T) {
	err := invalid(errors.New("x"), "do y")
	require.Equal(t, CodeInvalid, code(err))
	require.Equal(t, "do y", err.(*Refusal).Hint())
	require.NoError(t, invalid(nil, ""))
}
