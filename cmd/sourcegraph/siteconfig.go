package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/product"
	"github.com/sourcegraph/appliance/supervisor/siteconfig"
)

// versionsShown is how many versions a list has.
const versionsShown = 20

func siteConfigCommand() *cli.Command {
	return &cli.Command{
		Name: "site-config", HideHelpCommand: true, Category: "for who is locked out",
		Usage: "the product's site configuration, when its own page cannot be used",
		Description: "Every change is a new version in the product's database, which takes it within five seconds. Some settings count only after: sourcegraph restart frontend.\n" +
			"What a setting may be only the product knows; here it is checked that the text can be read, says nothing twice, and gets the commonest settings right.",
		Subcommands: []*cli.Command{{
			Name: "show", ArgsUsage: "[VERSION]", Usage: "what is in force, or an earlier version; secrets are in it",
			Flags: []cli.Flag{&cli.BoolFlag{Name: "versions", Usage: "list the last versions instead"}}, Action: showSiteConfig,
		}, {
			Name: "edit", Usage: "open it in $VISUAL or $EDITOR, check it and save it", Action: editSiteConfig,
		}, {
			Name: "validate", ArgsUsage: "[FILE]", Usage: "check what is in force, or FILE; - is stdin", Action: validateSiteConfig,
		}, {
			Name: "rollback", ArgsUsage: "[VERSION]", Usage: "save the version before, or VERSION, as the newest", Flags: []cli.Flag{dryRunFlag()}, Action: rollbackSiteConfig,
		}},
	}
}

// versionArgument is the version on the command line; 0 for none.
func versionArgument(c *cli.Context) (int64, error) {
	if c.NArg() == 0 {
		return 0, nil
	}
	id, err := strconv.ParseInt(c.Args().First(), 10, 64)
	if c.NArg() > 1 || err != nil || id < 1 {
		return 0, usageError{fmt.Sprintf("site-config %s takes one VERSION, a number, and was given %q", c.Command.Name, c.Args().Slice()), "list them with: sourcegraph site-config show --versions"}
	}
	return id, nil
}

func showSiteConfig(c *cli.Context) error {
	id, err := versionArgument(c)
	if err != nil {
		return err
	}
	if id != 0 && c.Bool("versions") {
		return usage("give a VERSION or --versions")
	}
	l, err := unlock(c)
	if err != nil {
		return err
	}
	defer l.db.Close()
	s := screenOf(c)
	if c.Bool("versions") {
		return s.versions(c, l)
	}
	show := func() (product.Version, error) { return l.db.SiteConfig(c.Context) }
	if id != 0 {
		show = func() (product.Version, error) { return l.db.SiteConfigAt(c.Context, id) }
	}
	v, err := show()
	if err != nil {
		return err
	}
	if s.json {
		return s.document(v)
	}
	s.print("%s", whole(v.Contents))
	return nil
}

// whole ends with a newline.
func whole(text string) string {
	if text == "" || text[len(text)-1] != '\n' {
		text += "\n"
	}
	return text
}

func (s *screen) versions(c *cli.Context, l *locked) error {
	list, err := l.db.SiteConfigs(c.Context, versionsShown)
	if err != nil {
		return err
	}
	if s.json {
		return s.document(list)
	}
	rows := [][]cell{heading("VERSION", "SAVED", "BYTES", "")}
	for i, v := range list {
		note := ""
		if i == 0 {
			note = "in force"
		}
		rows = append(rows, []cell{{text: strconv.FormatInt(v.ID, 10)}, {text: v.Saved.UTC().Format(time.RFC3339)}, {text: strconv.Itoa(len(v.Contents))}, {text: note}})
	}
	s.table(rows)
	return nil
}

// checkedSettings is the document of `site-config validate --json`.
type checkedSettings struct {
	Valid  bool   `json:"valid"`
	Faults string `json:"faults,omitempty"` // one a line
}

func validateSiteConfig(c *cli.Context) error {
	if c.NArg() > 1 {
		return usage("site-config validate takes one FILE at most, and was given %q", c.Args().Slice())
	}
	text, what, err := textToCheck(c)
	if err != nil {
		return err
	}
	s := screenOf(c)
	_, err = siteconfig.Check(text)
	if err != nil && s.json {
		if err := s.document(checkedSettings{Faults: err.Error()}); err != nil {
			return err
		}
		return exitWith(exitUsage)
	}
	if err != nil {
		return usageError{fmt.Sprintf("%s is not right:\n%v", what, err), "the product would not take it, or would take it for something else"}
	}
	if s.json {
		return s.document(checkedSettings{Valid: true})
	}
	s.print("%s can be read; what each setting may be, the product checks itself\n", what)
	return nil
}

func textToCheck(c *cli.Context) (text, what string, err error) {
	var content []byte
	switch file := c.Args().First(); file {
	case "":
		l, err := unlock(c)
		if err != nil {
			return "", "", err
		}
		defer l.db.Close()
		v, err := l.db.SiteConfig(c.Context)
		return v.Contents, fmt.Sprintf("version %d of the site configuration", v.ID), err
	case "-":
		content, err = io.ReadAll(c.App.Reader)
		what = "stdin"
	default:
		content, err = os.ReadFile(file)
		what = file
	}
	if err != nil {
		return "", "", usage("site-config validate: %v", err)
	}
	return string(content), what, nil
}

func editSiteConfig(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("site-config edit takes no argument, and was given %q", c.Args().First())
	}
	l, err := unlock(c)
	if err != nil {
		return err
	}
	defer l.db.Close()
	if err := governed(c, l.env); err != nil {
		return err
	}
	now, err := l.db.SiteConfig(c.Context)
	if err != nil {
		return err
	}
	file, err := draft(now.Contents)
	if err != nil {
		return err
	}
	if err := editor(c, file); err != nil {
		return kept(file, err)
	}
	edited, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read what was edited: %w", err)
	}
	s := screenOf(c)
	if string(edited) == whole(now.Contents) {
		s.print("nothing was changed\n")
		return os.RemoveAll(filepath.Dir(file))
	}
	if _, err := siteconfig.Check(string(edited)); err != nil {
		return kept(file, &product.Refusal{Code: exitUsage, Text: "what was edited is not right, and was not saved:\n" + err.Error()})
	}
	id, err := l.db.SetSiteConfig(c.Context, now.ID, string(edited))
	if err != nil {
		return kept(file, err)
	}
	if err := s.saved(id, fmt.Sprintf("saved as version %d; back to the one before with: sourcegraph site-config rollback", id)); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Dir(file))
}

// governed refuses to save what the next start of frontend would replace by a file's content.
func governed(c *cli.Context, env []string) error {
	files := value(env, "SITE_CONFIG_FILE")
	if files == "" {
		return nil
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	defer client.Close()
	body, err := client.Config(c.Context)
	if err != nil {
		return err
	}
	var conf struct {
		Site struct {
			SiteConfig string `json:"site_config"`
		} `json:"site"`
	}
	if err := json.Unmarshal(body, &conf); err != nil {
		return fmt.Errorf("read the running configuration: %w", err)
	}
	return &api.Error{Code: exitRefused, Message: "the site configuration is what " + cmp.Or(conf.Site.SiteConfig, files) + " says, and each start of frontend makes it so again",
		Remedy: "edit that file, then: sourcegraph reload"}
}

// draft is a private file with the text to edit, in a directory of its own, where an editor's other files stay private, too.
func draft(text string) (string, error) {
	dir, err := os.MkdirTemp("", "site-config-")
	if err != nil {
		return "", fmt.Errorf("keep the text to edit: %w", err)
	}
	file := filepath.Join(dir, "site-config.jsonc")
	return file, os.WriteFile(file, []byte(whole(text)), 0o600)
}

// kept adds to a failure where the text is now.
func kept(file string, err error) error {
	e := *api.AsError(err)
	e.Remedy = "your text is in " + file + "; it holds the site's secrets, so remove it when it is of no more use"
	if hint := api.AsError(err).Remedy; hint != "" {
		e.Remedy = hint + "\n  " + e.Remedy
	}
	return &e
}

// editor opens a file as git does: the variable may hold arguments.
func editor(c *cli.Context, file string) error {
	program := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi")
	cmd := exec.CommandContext(c.Context, "/bin/sh", "-c", program+` "$1"`, "sh", file)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, c.App.ErrWriter, c.App.ErrWriter
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &api.Error{Code: exitNotRight, Message: fmt.Sprintf("the editor %q ended with %s; nothing was saved", program, exit), Remedy: "set EDITOR to another"}
	}
	return err
}

// saved says which version is in force now.
func (s *screen) saved(id int64, text string) error {
	if s.json {
		return s.document(struct {
			Version int64 `json:"version"`
		}{id})
	}
	s.print("%s\n", text)
	return nil
}

func rollbackSiteConfig(c *cli.Context) error {
	id, err := versionArgument(c)
	if err != nil {
		return err
	}
	l, err := unlock(c)
	if err != nil {
		return err
	}
	defer l.db.Close()
	if err := governed(c, l.env); err != nil {
		return err
	}
	now, err := l.db.SiteConfig(c.Context)
	if err != nil {
		return err
	}
	var before product.Version
	if id == 0 {
		before, err = l.db.Before(c.Context, now)
	} else {
		before, err = l.db.SiteConfigAt(c.Context, id)
	}
	if err != nil {
		return err
	}
	next, err := l.db.SetSiteConfig(c.Context, now.ID, before.Contents)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("version %d, saved at %s, is in force again as version %d", before.ID, before.Saved.UTC().Format(time.RFC3339), next)
	if c.Bool("dry-run") {
		next, what = before.ID, fmt.Sprintf("nothing was changed; version %d, saved at %s, would be in force again", before.ID, before.Saved.UTC().Format(time.RFC3339))
	}
	return screenOf(c).saved(next, what)
}
