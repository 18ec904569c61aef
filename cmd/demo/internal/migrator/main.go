package migrator

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/fault"
	"github.com/sourcegraph/appliance/cmd/demo/internal/lifecycle"
)

const usage = "usage: migrator up | migrator force VERSION | migrator version"

// Main is the migrator's command line: up (also without arguments), force VERSION, version. Exit code 0 means that it is done; 1 that "the rest must not start".
func Main(args []string) int {
	return lifecycle.Job("migrator", func(ctx context.Context, _ *slog.Logger) error {
		do, err := command(args)
		if err != nil {
			return lifecycle.Usage{Err: err}
		}
		f, err := fault.FromEnv("migrator")
		if err != nil {
			return lifecycle.Usage{Err: err}
		}
		if err := f.Start(ctx); err != nil {
			return err
		}
		if err := f.BeforeListen(ctx); err != nil {
			return err
		}
		conn, err := database.Connect(ctx, database.DSN(os.Getenv))
		if err != nil {
			return err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		return do(ctx, conn)
	})
}

func command(args []string) (func(context.Context, *pgx.Conn) error, error) {
	switch {
	case len(args) == 0, len(args) == 1 && args[0] == "up":
		return up, nil
	case len(args) == 1 && args[0] == "version":
		return printVersion, nil
	case len(args) == 2 && args[0] == "force":
		return forceTo(args[1])
	}
	return nil, fmt.Errorf("%q: %s", args, usage)
}

func up(ctx context.Context, conn *pgx.Conn) error {
	migrations, err := Embedded()
	if err != nil {
		return err
	}
	return Up(ctx, conn, migrations, os.Stdout)
}

func printVersion(ctx context.Context, conn *pgx.Conn) error {
	s, err := Read(ctx, conn)
	if err != nil {
		return err
	}
	if s.Dirty != 0 {
		return DirtyDatabase(s.Dirty)
	}
	fmt.Println(s.Version)
	return nil
}

func forceTo(text string) (func(context.Context, *pgx.Conn) error, error) {
	migrations, err := Embedded()
	if err != nil {
		return nil, err
	}
	version, err := strconv.Atoi(text)
	if err != nil || version < 0 || version > len(migrations) {
		return nil, fmt.Errorf("force %q: want a version from 0 to %d; %s", text, len(migrations), usage)
	}
	return func(ctx context.Context, conn *pgx.Conn) error { return Force(ctx, conn, version) }, nil
}
