package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func psqlCommand() *cli.Command {
	return &cli.Command{
		Name: "psql", ArgsUsage: "[DB] [-- PSQL-ARGUMENTS…]", Category: "inside",
		Usage:       "a database shell; the databases are sg (default), codeintel and codeinsights",
		Description: "The password is in the shell's environment alone, on no command line and in no file.",
		Action: func(c *cli.Context) error {
			client, err := connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			spec, program, err := psqlSpec(c.Context, client)
			if err != nil {
				return err
			}
			return replaceBy(spec, program, append([]string{"psql"}, databaseFirst(c.Args().Slice())...), withTerminal(spec.Env))
		},
	}
}

// databaseFirst tells a database from arguments of psql.
func databaseFirst(args []string) []string {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return append([]string{"--dbname=" + args[0]}, args[1:]...)
	}
	return args
}

// psqlSpec is a shell in PostgreSQL's own surroundings, with the address and password that frontend uses.
func psqlSpec(ctx context.Context, client *api.Client) (spec api.ExecSpec, program string, err error) {
	login, err := client.ExecSpec(ctx, "frontend")
	if err != nil {
		return spec, "", err
	}
	st, err := client.Status(ctx, nil)
	if err != nil {
		return spec, "", err
	}
	server := find(st, "postgres")
	spec = login
	if server.Program != "" {
		if spec, err = client.ExecSpec(ctx, "postgres"); err != nil {
			return spec, "", err
		}
	}
	env := []string{"PSQL_HISTORY=/dev/null"} // the service's directory is data, kept and moved with it
	for _, e := range spec.Env {
		if !strings.HasPrefix(e, "PG") {
			env = append(env, e)
		}
	}
	for _, e := range login.Env {
		if strings.HasPrefix(e, "PG") {
			env = append(env, e)
		}
	}
	spec.Env = env
	program, err = psqlProgram(server.Program)
	return spec, program, err
}

// psqlProgram lies beside the server's program, or in PATH.
func psqlProgram(server string) (string, error) {
	if server != "" {
		if beside := filepath.Join(filepath.Dir(server), "psql"); exists(beside) {
			return beside, nil
		}
	}
	found, err := exec.LookPath("psql")
	if err != nil {
		return "", &api.Error{Code: exitUsage, Message: "there is no program psql beside " + server + ", nor in PATH", Remedy: "apt-get install postgresql-client"}
	}
	return filepath.Abs(found)
}
