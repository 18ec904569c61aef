package supervisor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

func inst(name string, grace time.Duration, weight int, needs ...string) services.Instance {
	return services.Instance{Service: name, Replicas: 1, Needs: needs, Wanted: true, Stop: services.Stop{Grace: grace, Weight: weight}}
}

// chain is the demo's longest: worker needs gitserver needs frontend needs postgres.
func chain() []services.Instance {
	return []services.Instance{
		inst("postgres", 120*time.Second, 1), inst("frontend", 15*time.Second, 0, "postgres"),
		inst("gitserver", 15*time.Second, 0, "frontend"), inst("worker", 15*time.Second, 0, "gitserver"),
		inst("redis", 60*time.Second, 0),
	}
}

// TestGracesFitTheStopBudget: along every chain the graces add up to no more than the budget, and PostgreSQL gets a third of a short one.
func TestGracesFitTheStopBudget(t *testing.T) {
	for _, budget := range []time.Duration{9 * time.Second, 30 * time.Second, 180 * time.Second, time.Hour} {
		g := graces(chain(), budget)
		sum := g["postgres"] + g["frontend"] + g["gitserver"] + g["worker"]
		require.LessOrEqual(t, sum, budget, "budget %s: %v", budget, g)
		require.LessOrEqual(t, g["redis"], budget)
		require.GreaterOrEqual(t, g["postgres"], min(120*time.Second, (budget-budget/killMargin)/3), "budget %s: %v", budget, g)
	}
	require.Equal(t, 120*time.Second, graces(chain(), time.Hour)["postgres"], "a long budget shortens nothing")
}

// TestMigratorTakesNobodysGrace: its hour, which no service waits for at a stop, must not shrink the graces of the others to milliseconds.
func TestMigratorTakesNobodysGrace(t *testing.T) {
	migrator := inst("migrator", time.Hour, 0, "postgres")
	migrator.Stop.Wait = true
	insts := append(chain(), migrator)
	insts[1].Needs = append(insts[1].Needs, "migrator")
	for _, budget := range []time.Duration{9 * time.Second, 180 * time.Second} {
		with := graces(insts, budget)
		require.Equal(t, graces(chain(), budget)["worker"], with["worker"], "budget %s", budget)
		require.LessOrEqual(t, with["migrator"]+with["postgres"], budget)
		require.GreaterOrEqual(t, with["migrator"], budget/5, "a migration that runs has all but PostgreSQL's part")
	}
}

func TestStopOrderIsDependentsFirst(t *testing.T) {
	g := newGraph(chain())
	require.Equal(t, []string{"worker", "gitserver", "frontend", "postgres"}, g.withDependents([]string{"postgres"}))
	require.Equal(t, []string{"postgres", "frontend", "gitserver"}, g.withNeeds([]string{"gitserver"}))
}

// TestCompareFindsWhatAReloadChanges: unchanged instances are left alone.
func TestCompareFindsWhatAReloadChanges(t *testing.T) {
	old := chain()
	next := chain()[1:]
	next[0].Hash = "another"
	next[1].Wanted = false
	next = append(next, inst("hello", 0, 0))
	d := compare(old, next)
	require.Equal(t, []string{"postgres"}, names(d.gone))
	require.Equal(t, []string{"frontend", "gitserver"}, names(d.changed))
	require.Equal(t, []string{"worker", "redis"}, names(d.same))
	require.Equal(t, []string{"hello"}, names(d.added))
}
