package services

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryListenerIsOnLoopbackOrSaid: an address that a definition says is set stands in what the process gets, a switch is thrown, and the plan
// names what nothing keeps on loopback.
func TestEveryListenerIsOnLoopbackOrSaid(t *testing.T) {
	for _, version := range rosterVersions {
		plan, err := Build(input(t, everythingOn(version)))
		require.NoError(t, err)
		var open []string
		for _, inst := range plan.Instances {
			d := definitionOf(t, version, inst.Service)
			for _, p := range d.Ports {
				name := inst.Name() + "." + p.Name
				switch p.Bind {
				case BindSwitch:
					require.Contains(t, inst.Env, "INSECURE_DEV=true", name)
				case BindAll:
					require.NotContains(t, inst.Env, "INSECURE_DEV=true", "%s in %s", name, version)
					open = append(open, name)
				default:
					if inst.Service == "jaeger" && CompareVersions(version, "7.1") >= 0 && !strings.HasPrefix(p.Name, "otlp") && p.Name != "http" {
						continue // the second Jaeger opens only what its file names; its first ports stay its own
					}
					require.True(t, told(inst, p.Name), "%s in %s: nothing of what the process gets says %s", name, version, inst.Addresses[p.Name])
				}
			}
		}
		var said []string
		for _, x := range plan.Exposed {
			require.Contains(t, x.Error(), x.Address)
			require.NotEmpty(t, x.Hint())
			said = append(said, x.Instance+"."+x.Port)
		}
		require.Equal(t, open, said, version)
	}
}

func definitionOf(t *testing.T, version, name string) Definition {
	t.Helper()
	all := Of(sourcegraph, version)
	i := slices.IndexFunc(all, func(d Definition) bool { return d.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return all[i]
}

// told reports whether host and port of a listener stand in the command, the environment or a file of the instance, together or apart.
func told(inst Instance, port string) bool {
	host, number, _ := strings.Cut(inst.Addresses[port], ":")
	everything := slices.Concat(inst.Argv, inst.Env)
	for _, f := range inst.Files {
		everything = append(everything, f.Content)
	}
	all := strings.Join(everything, "\n")
	return strings.Contains(all, host+":"+number) || strings.Contains(all, host) && strings.Contains(all, number)
}

func TestWhatIsOffExposesNothing(t *testing.T) {
	plan, err := Build(input(t, Selection{Product: sourcegraph, Version: "5.2.7"}))
	require.NoError(t, err)
	var said []string
	for _, x := range plan.Exposed {
		said = append(said, x.Instance)
	}
	require.NotContains(t, said, "embeddings")
	require.Contains(t, said, "worker")
}
