package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/product"
	"github.com/sourcegraph/appliance/supervisor/siteconfig"
)

func adminCommand() *cli.Command {
	return &cli.Command{
		Name: "admin", HideHelpCommand: true, Category: "for who is locked out",
		Usage: "the product's administrators",
		Description: "Works on the product's database when its pages cannot be used. Who did it is in events, not in the product's own log. " +
			"A password comes from the terminal, from stdin or from --generate, never from the command line.",
		Subcommands: []*cli.Command{{
			Name: "create", ArgsUsage: "USER", Usage: "make an administrator; the first one through the product's own interface",
			Flags: append(passwordFlags(), dryRunFlag(), &cli.StringFlag{Name: "email", Usage: "their address, taken as verified; the first one needs it"}), Action: createAdmin,
		}, {
			Name: "reset-password", ArgsUsage: "USER", Usage: "give a user another password and end their sessions; access tokens stay",
			Flags: append(passwordFlags(), dryRunFlag()), Action: resetPassword,
		}, {
			Name: "promote", ArgsUsage: "USER", Usage: "make a user an administrator",
			Flags: []cli.Flag{dryRunFlag()}, Action: promote,
		}},
	}
}

// account is the document of `admin … --json`.
type account struct {
	Username string   `json:"username"`
	Did      string   `json:"did"`
	Password string   `json:"password,omitempty"` // only one that was made here
	DryRun   bool     `json:"dry_run,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// locked is the product as who is locked out of it reaches it.
type locked struct {
	db       *product.DB
	env      []string // of frontend
	settings siteconfig.Settings
}

// unlock asks the running appliance how frontend reaches the product's database, and connects. The appliance records who asked, with the command line.
func unlock(c *cli.Context) (*locked, error) {
	client, err := connect(c)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	spec, err := client.ExecSpec(c.Context, "frontend")
	if err != nil {
		return nil, err
	}
	db, err := product.Open(c.Context, spec.Env, c.Bool("dry-run"))
	if err != nil {
		return nil, err
	}
	return &locked{db: db, env: spec.Env}, nil
}

// readSettings takes what a password must be from the site configuration; a broken one, which somebody may be locked out by, stands in nobody's way.
func (l *locked) readSettings(ctx context.Context) (warnings []string, err error) {
	now, err := l.db.SiteConfig(ctx)
	if err != nil {
		return nil, err
	}
	l.settings, err = siteconfig.Check(now.Contents)
	if err != nil {
		warnings = append(warnings, "the site configuration is not right: sourcegraph site-config validate")
	}
	if !l.settings.Builtin && err == nil {
		warnings = append(warnings, `nobody can sign in with a password: auth.providers of the site configuration has no {"type": "builtin"}; add it with: sourcegraph site-config edit`)
	}
	return warnings, nil
}

func userArgument(c *cli.Context) (string, error) {
	if c.NArg() != 1 || strings.TrimSpace(c.Args().First()) == "" {
		return "", usage("admin %s needs exactly one USER", c.Command.Name)
	}
	return c.Args().First(), nil
}

func createAdmin(c *cli.Context) error {
	username, err := userArgument(c)
	if err != nil {
		return err
	}
	email := c.String("email")
	if email != "" && !strings.Contains(strings.Trim(email, "@"), "@") {
		return usage("--email %s: want an address such as you@example.com", email)
	}
	l, err := unlock(c)
	if err != nil {
		return err
	}
	defer l.db.Close()
	initialized, err := l.db.Initialized(c.Context)
	if err != nil {
		return err
	}
	if !initialized && email == "" {
		return usage("the first administrator needs an --email")
	}
	did := account{Username: username, Did: "made an administrator", DryRun: c.Bool("dry-run")}
	if did.Warnings, err = l.readSettings(c.Context); err != nil {
		return err
	}
	password, hash, err := l.password(c, &did)
	if err != nil {
		return err
	}
	switch {
	case initialized:
		err = l.db.CreateAdmin(c.Context, username, email, hash)
	case !did.DryRun:
		err = product.Init(c.Context, value(l.env, "SRC_HTTP_ADDR"), product.Credentials{Email: email, Username: username, Password: password})
	}
	if err != nil {
		return err
	}
	return screenOf(c).account(did)
}

func resetPassword(c *cli.Context) error {
	username, err := userArgument(c)
	if err != nil {
		return err
	}
	l, err := unlock(c)
	if err != nil {
		return err
	}
	defer l.db.Close()
	did := account{Username: username, Did: "has another password, and their sessions have ended", DryRun: c.Bool("dry-run")}
	if did.Warnings, err = l.readSettings(c.Context); err != nil {
		return err
	}
	_, hash, err := l.password(c, &did)
	if err != nil {
		return err
	}
	u, err := l.db.SetPassword(c.Context, username, hash)
	if err != nil {
		return err
	}
	did.Username = u.Username
	return screenOf(c).account(did)
}

func promote(c *cli.Context) error {
	username, err := userArgument(c)
	if err != nil {
		return err
	}
	l, err := unlock(c)
	if err != nil {
		return err
	}
	defer l.db.Close()
	u, err := l.db.Promote(c.Context, username)
	if err != nil {
		return err
	}
	did := account{Username: u.Username, Did: "made an administrator", DryRun: c.Bool("dry-run")}
	if u.Admin {
		did.Did = "was an administrator before"
	}
	return screenOf(c).account(did)
}

// account says what was done, and a password that was made here: once, on stdout.
func (s *screen) account(a account) error {
	if s.json {
		return s.document(a)
	}
	for _, w := range a.Warnings {
		s.warn("warning: %s", w)
	}
	would := ""
	if a.DryRun {
		would = "nothing was changed; else it would be so: "
	}
	s.print("%s%s %s\n", would, a.Username, a.Did)
	if a.Password != "" {
		s.print("password: %s\n", a.Password)
	}
	return nil
}

// password gets one as the flags say, with its hash. One that was made here is shown with the result, unless it opens nothing.
func (l *locked) password(c *cli.Context, did *account) (password, hash string, err error) {
	if password, err = newPassword(c, fmt.Sprintf("new password for %s", did.Username)); err != nil {
		return "", "", err
	}
	if hash, err = product.Hash(password, l.settings.MinPassword); err != nil {
		return "", "", err
	}
	if c.Bool("generate") && !did.DryRun {
		did.Password = password
	}
	return password, hash, nil
}
