package roster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// Options says where to look.
type Options struct {
	DataDir     string            // absolute
	RunDir      string            // absolute
	ConfigFile  string            // appliance.yaml; services.d/ and secrets/ are beside it. Empty or not there: none
	ReleaseDir  string            // --release: a directory, or the version of an installed release; empty for none
	ReleaseNone bool              // --release none: the site's own services only
	Overrides   map[string]string `json:",omitempty"` // --override: an engineer's own build, absolute, by the service whose program it stands for
	Executable  string            // of the appliance; a release may lie in ../share/sourcegraph/release from there
	Root        bool              // services get users of their own, who must be able to reach their programs
	Path        string            // where programs of the host are looked for; empty: [StandardPath] for root, else $PATH
	Ports       *Ports            `json:"-"` // what is reserved for this appliance; nil: ports are looked at only
	Environ     []string          `json:"-"` // the appliance's own environment, where Sourcegraph's variables become overrides; never on a command line
	DryRun      bool              // write nothing: no release is installed, no address and no secret kept
}

// Roster is what is to run.
type Roster struct {
	Plan      services.Plan
	Site      Site
	Secrets   map[string]string `json:"-"` // by name, for services.Expand; empty contents in a dry run before the first start
	Warnings  []string
	Announced string   // a release that --release names and that is not the active one, with what to type
	Release   Manifest // zero for none
	Dir       string   // of the release; empty for none
	Changed   bool     // state/addresses was written
	Metrics   string   // where the appliance serves its own metrics in clear; empty for nowhere

	effective []services.Effective // what the plan was made from, and the rest of what only [Load] knows
	places    keys.Places
	files     map[string]string // contents, by name beside appliance.yaml
	surround  services.Environment
	found     []string // what is said of the programs: the engineer's own builds, a PostgreSQL that does not fit
}

// Load reads everything and makes the plan. Errors say with ExitCode() how `run` should end, and with Hint() what to do.
func Load(o Options) (*Roster, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := makeState(o); err != nil {
		return nil, err
	}
	conf, err := readConfig(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	r := &Roster{Site: conf.site, places: conf.places, files: conf.files}
	if err := r.findRelease(o); err != nil {
		return nil, err
	}
	r.surround = surroundings(o.Environ, r.product(), r.Release.Version)
	conf.surround = r.surround.Overrides
	selection, err := conf.selection(r.product(), r.Release.Version)
	if err != nil {
		return nil, err
	}
	var lacking []string
	selection.Absent, lacking = r.absent(selection, o.Overrides)
	if err := r.plan(o, selection); err != nil {
		return nil, err
	}
	if err := r.checkRetired(); err != nil {
		return nil, err
	}
	r.Warnings = slices.Concat(conf.warnings, r.surround.Warnings, lacking, r.found, r.wishes(conf))
	return r, nil
}

func (o *Options) check() error {
	for name, dir := range map[string]string{"data": o.DataDir, "run": o.RunDir} {
		if !filepath.IsAbs(dir) {
			return invalid(fmt.Errorf("the %s directory %q is not an absolute path", name, dir), "name it with a leading /")
		}
		if err := plainPath(dir); err != nil {
			return invalid(fmt.Errorf("the %s directory %q: %w", name, dir, err), "choose another directory")
		}
	}
	if o.Path == "" {
		o.Path = StandardPath
		if own := os.Getenv("PATH"); !o.Root && own != "" {
			o.Path = own
		}
	}
	return nil
}

// plainPath refuses what cannot be written into the configuration files of PostgreSQL and Redis.
func plainPath(path string) error {
	for _, c := range path {
		if c < ' ' || c == '\'' || c == '"' || c == '\\' || c == 0x7f {
			return fmt.Errorf("the character %q cannot be part of it", c)
		}
	}
	return nil
}

// makeState makes the data directory, and sees that the services' users can pass through to what is theirs in it.
func makeState(o Options) error {
	if !o.DryRun {
		if err := os.MkdirAll(filepath.Join(o.DataDir, "state"), 0o755); err != nil {
			return invalid(fmt.Errorf("make the data directory: %w", err), "choose a directory that this user may write: --data DIR")
		}
	}
	if here, err := exists(o.DataDir); !o.Root || !here || err != nil {
		return err
	}
	if !o.DryRun {
		if err := letPass(o.DataDir); err != nil {
			return err
		}
	}
	return checkTraversable(o.DataDir)
}

// letPass lets everybody pass through the data directory, but not list it, when it is ours: mktemp -d and many an administrator make it 0700.
// Directories above it are not ours to change.
func letPass(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the data directory: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) != os.Getuid() || info.Mode().Perm()&0o001 != 0 {
		return nil
	}
	if err := os.Chmod(dir, info.Mode().Perm()|0o011); err != nil {
		return fmt.Errorf("let the services' users pass through the data directory: %w", err)
	}
	return nil
}

// surroundings is what the appliance's environment says of the built-in services of a version.
func surroundings(environ []string, product, version string) services.Environment {
	return services.FromEnvironment(environ, product, version, services.Of(product, version), keys.Nearest)
}

func (r *Roster) product() string {
	if r.Dir == "" {
		return "none"
	}
	return r.Release.Product
}

// plan finds programs, addresses and secrets for a selection, and builds the plan from them.
func (r *Roster) plan(o Options, s services.Selection) error {
	list, err := s.Effective()
	if err != nil {
		return err
	}
	r.effective = list
	in := services.Input{
		Selection: s, Release: r.releaseName(), Dirs: services.Dirs{Data: o.DataDir, Run: o.RunDir, Storage: r.Site.Storage}, Generation: 1, Path: o.Path,
		Programs: map[string]services.Program{},
	}
	if r.Dir != "" {
		in.Bin = filepath.Join(r.Dir, "bin")
	}
	if err := r.overrides(o, list, in.Programs); err != nil {
		return err
	}
	if err := r.programs(o, list, in.Programs); err != nil {
		return err
	}
	said, err := r.hostPostgres(in.Programs["postgres"])
	if err != nil {
		return err
	}
	r.found = append(r.found, said...)
	if in.Addresses, err = r.addresses(o, append(list, r.ownMetrics(list)...)); err != nil {
		return err
	}
	if r.Metrics = string(r.Site.Metrics.Listen); len(r.ownMetrics(list)) > 0 {
		r.Metrics = in.Addresses[ownMetricsKey]
	}
	in.Appliance = scraped(r.Metrics)
	if in.Secrets, err = o.secrets(r.surround).names(); err != nil {
		return err
	}
	if r.Plan, err = services.Build(in); err != nil {
		return invalid(err, hintOf(err))
	}
	if err := r.checkStorage(o); err != nil {
		return err
	}
	return r.ReadSecrets(o)
}

// ReadSecrets fills Secrets for the plan. [Load] has done it already: it is for a roster that was kept as JSON, where secrets are never part of.
func (r *Roster) ReadSecrets(o Options) (err error) {
	if r.surround.Secrets == nil {
		r.surround = surroundings(o.Environ, r.Plan.Product, r.Plan.Version)
	}
	r.Secrets, err = o.secrets(r.surround).load(services.SecretsOf(r.Plan), r.madeWith, o.DryRun)
	return err
}

func (o Options) secrets(surround services.Environment) secretStore {
	s := secretStore{generated: filepath.Join(o.DataDir, "state", "secrets"), surround: surround.Secrets}
	if o.ConfigFile != "" {
		s.site = filepath.Join(filepath.Dir(o.ConfigFile), "secrets")
	}
	return s
}

// madeWith names the data that a generated secret opens and that exists already.
func (r *Roster) madeWith(secret string) string {
	if secret != "postgres" {
		return "" // Redis takes whatever password it is started with
	}
	for _, inst := range r.Plan.Instances {
		for _, p := range inst.Prepare {
			if _, err := os.Lstat(p.Creates); inst.Service == "postgres" && err == nil {
				return p.Creates
			}
		}
	}
	return ""
}

func (r *Roster) programs(o Options, list []services.Effective, out map[string]services.Program) error {
	f := finder{dir: r.Dir, manifest: r.Release, path: o.Path}
	var missing MissingPrograms
	for _, e := range list {
		if _, own := out[e.Name]; own || e.Disabled || len(e.Command) == 0 || filepath.IsAbs(e.Command[0]) {
			continue
		}
		p, nowhere := f.find(e)
		if nowhere != nil {
			missing = append(missing, nowhere)
			continue
		}
		out[e.Name] = p
	}
	if len(missing) > 0 {
		return invalid(missing, missing.Hint())
	}
	return nil
}

// absent finds the spare services that the release does not carry, and says what users lose unless the site has decided about them.
func (r *Roster) absent(s services.Selection, own map[string]string) (out map[string]bool, lacking []string) {
	out = map[string]bool{}
	f := finder{dir: r.Dir, manifest: r.Release}
	for _, d := range services.Of(s.Product, s.Version) {
		said := s.Overrides[d.Name]
		if !d.Spare || s.External.Replaces(d.Name) || said.Command != nil || own[d.Name] != "" || f.inRelease(d.Command[0]) != "" {
			continue
		}
		out[d.Name] = true
		if said.Disabled == nil {
			lacking = append(lacking, fmt.Sprintf("%s is not in this release: %s; services.%s.disabled: true says that this is known", d.Name, d.Loss, d.Name))
		}
	}
	return out, lacking
}

func (r *Roster) addresses(o Options, list []services.Effective) (map[string]string, error) {
	path := addressFile(o.DataDir)
	book, err := readAddresses(path)
	if err != nil {
		return nil, err
	}
	changed, err := book.assign(list, o.Ports.free)
	if err != nil {
		return nil, err
	}
	if changed && !o.DryRun {
		if err := book.write(path); err != nil {
			return nil, fmt.Errorf("keep the services' addresses: %w", err)
		}
		r.Changed = true
	}
	return book.plain(), nil
}

func (r *Roster) releaseName() string {
	if r.Dir == "" {
		return "none"
	}
	return filepath.Base(r.Dir)
}

// wishes warns of wants that nothing answers: order only, so it is no fault, but it may be a typing error.
func (r *Roster) wishes(c config) []string {
	known := map[string]bool{}
	for _, inst := range r.Plan.Instances {
		known[inst.Service] = true
	}
	var out []string
	for _, one := range c.said {
		for _, want := range one.out.Wants {
			if !known[want] {
				out = append(out, fmt.Sprintf("%s:%d: %s wants %s, and there is no such service", one.at().File, one.at().Line, one.name, want))
			}
		}
	}
	return out
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
