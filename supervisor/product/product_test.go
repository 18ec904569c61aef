package product

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
)

const root = `INSERT INTO users (username, passwd, site_admin, passwd_reset_code, passwd_reset_time) VALUES ('Root', 'old', true, 'code', now()), ('alice', NULL, false, NULL, NULL);
	INSERT INTO names (name, user_id) SELECT username, id FROM users;
	INSERT INTO user_emails (user_id, email, verified_at, is_primary) VALUES (1, 'root@example.com', now(), true);
	INSERT INTO global_state (site_id, initialized) VALUES ('2b0bd4d5-0b8d-4b39-a4a4-6d0d0b0d0b0d', true);
	INSERT INTO critical_and_site_config (type, contents) VALUES ('critical', '{"a": 1}'), ('site', '{}')`

// TestAdministratorsOfEveryFamily: the statements do on each family's schema what the product itself does there.
func TestAdministratorsOfEveryFamily(t *testing.T) {
	s := theServer(t)
	for _, family := range []struct {
		name   string
		files  []string
		before string
		roles  string // of an administrator
	}{
		{"v338", []string{"3.38"}, "", ""},
		{"v5", []string{"3.38", "5"}, "", `("SITE_ADMINISTRATOR USER")`},
		{"v7", []string{"3.38", "5", "7"}, "SET app.current_tenant = '1'", `("SITE_ADMINISTRATOR USER")`},
	} {
		t.Run(family.name, func(t *testing.T) {
			s.of(t, family.name, family.files...)
			s.sql(t, "sg", family.name, family.before, root)
			if family.roles != "" {
				s.sql(t, "sg", family.name, family.before, `INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r WHERE r.name = 'USER'`)
			}
			db := s.open(t, family.name, false)
			hash, err := Hash("a long enough password", 12)
			require.NoError(t, err)

			initialized, err := db.Initialized(t.Context())
			require.NoError(t, err)
			require.True(t, initialized)

			u, err := db.SetPassword(t.Context(), "ROOT", hash)
			require.NoError(t, err)
			require.Equal(t, User{1, "Root", true}, u)
			require.Equal(t, "(t,,,t,t)", s.row(t, family.name, `SELECT passwd = '`+hash+`', passwd_reset_code, passwd_reset_time, invalidated_sessions_at <= clock_timestamp(), invalidated_sessions_at > updated_at FROM users WHERE id = 1`),
				"the link is void, sessions of before have ended, and those of now are good")
			require.NoError(t, bcrypt.CompareHashAndPassword([]byte(hash), []byte("a long enough password")))

			u, err = db.Promote(t.Context(), "alice")
			require.NoError(t, err)
			require.False(t, u.Admin)
			u, err = db.Promote(t.Context(), "alice")
			require.NoError(t, err)
			require.True(t, u.Admin, "twice is fine")

			require.NoError(t, db.CreateAdmin(t.Context(), "bob", "bob@example.com", hash))
			require.Equal(t, "(bob,t,bob@example.com,t,t)", s.row(t, family.name, `SELECT u.username, u.site_admin, e.email, e.is_primary, e.verified_at IS NOT NULL
				FROM users u JOIN names n ON n.user_id = u.id AND n.name = u.username JOIN user_emails e ON e.user_id = u.id WHERE u.id = 3`))
			require.NoError(t, db.CreateAdmin(t.Context(), "carol", "", hash), "without an address")
			if family.roles != "" {
				for _, id := range []string{"2", "3"} {
					require.Equal(t, family.roles, s.row(t, family.name, `SELECT string_agg(r.name::text, ' ' ORDER BY r.name::text) FROM user_roles JOIN roles r ON r.id = role_id WHERE user_id = `+id))
				}
			}

			for name, want := range map[string]string{"root": "is taken", "-x": "takes no user name", "d": "another user's"} {
				err := db.CreateAdmin(t.Context(), name, "bob@example.com", hash)
				require.ErrorContains(t, err, want)
				require.IsType(t, &Refusal{}, err)
			}
			require.Equal(t, "(4)", s.row(t, family.name, `SELECT count(*) FROM users`), "a refusal leaves nothing behind")
			_, err = db.SetPassword(t.Context(), "nobody", hash)
			require.ErrorContains(t, err, `no user "nobody"`)
			require.Equal(t, "administrators are: Root, alice, bob, carol", err.(*Refusal).Hint())
		})
	}
}

// TestDryChangesNothing: what would be refused is refused, and what would be done is taken back.
func TestDryChangesNothing(t *testing.T) {
	s := theServer(t)
	s.of(t, "dry", "3.38")
	s.sql(t, "sg", "dry", root)
	db := s.open(t, "dry", true)
	require.NoError(t, db.CreateAdmin(t.Context(), "bob", "", "h"))
	_, err := db.SetPassword(t.Context(), "root", "h")
	require.NoError(t, err)
	_, err = db.Promote(t.Context(), "alice")
	require.NoError(t, err)
	_, err = db.Promote(t.Context(), "bob")
	require.Error(t, err)
	require.Equal(t, "(2,1,0)", s.row(t, "dry", `SELECT count(*), count(*) FILTER (WHERE site_admin), count(*) FILTER (WHERE passwd = 'h') FROM users`))
}

// TestUnknownSchemaIsRefused: a release whose tables are not as this package knows them is left alone, with what differs.
func TestUnknownSchemaIsRefused(t *testing.T) {
	s := theServer(t)
	for name, tc := range map[string]struct{ change, want string }{
		"lost":    {`ALTER TABLE users RENAME COLUMN passwd TO password`, "users has no column passwd, but avatar_url"},
		"gone":    {`DROP TABLE user_emails`, "no table user_emails"},
		"more":    {`ALTER TABLE users ADD COLUMN region text; UPDATE users SET region = ''; ALTER TABLE users ALTER COLUMN region SET NOT NULL`, "a row of users must have a region"},
		"roles":   {`DELETE FROM roles WHERE name = 'USER'`, "of the roles USER, SITE_ADMINISTRATOR it has 1"},
		"tenants": {`INSERT INTO tenants VALUES (2, 'second')`, "2 tenants"},
	} {
		t.Run(name, func(t *testing.T) {
			s.of(t, name, "3.38", "5", "7")
			s.sql(t, "sg", name, "SET app.current_tenant = '1'", root, tc.change)
			db, err := Open(t.Context(), []string{"PGHOST=" + s.dir, "PGDATABASE=" + name, "PGSSLMODE=disable"}, false)
			if err == nil {
				t.Cleanup(db.Close)
				err = db.CreateAdmin(t.Context(), "bob", "", "h")
			}
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, "(2)", s.row(t, name, `SELECT count(*) FROM users`))
		})
	}
}

// TestDatabaseThatDoesNotAnswer: the address is told, the password is not.
func TestDatabaseThatDoesNotAnswer(t *testing.T) {
	_, err := Open(t.Context(), []string{"PGHOST=127.0.0.1", "PGPORT=1", "PGPASSWORD=sesame", "PGSSLMODE=disable"}, false)
	require.ErrorContains(t, err, "127.0.0.1 does not answer")
	require.NotContains(t, err.Error(), "sesame")
	_, err = Open(t.Context(), []string{"PGDATASOURCE=postgres://u:sesame@h:port/d"}, false)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "sesame")
}

// TestSiteConfigVersions: each save is a version; one that began with an older one is refused.
func TestSiteConfigVersions(t *testing.T) {
	s := theServer(t)
	s.of(t, "sites", "3.38", "5", "7")
	s.sql(t, "sg", "sites", "SET app.current_tenant = '1'", root)
	db := s.open(t, "sites", false)
	first, err := db.SiteConfig(t.Context())
	require.NoError(t, err)
	require.Equal(t, "{}", first.Contents, "what is of another type is passed over")

	id, err := db.SetSiteConfig(t.Context(), first.ID, `{"a": 1}`)
	require.NoError(t, err)
	_, err = db.SetSiteConfig(t.Context(), first.ID, `{"b": 1}`)
	require.ErrorContains(t, err, "somebody saved version")
	require.Equal(t, codeRefused, err.(*Refusal).ExitCode())
	id, err = db.SetSiteConfig(t.Context(), id, `{"a": 1}`)
	require.NoError(t, err, "the same again is a version, too")

	now, err := db.SiteConfig(t.Context())
	require.NoError(t, err)
	require.Equal(t, id, now.ID)
	before, err := db.Before(t.Context(), now)
	require.NoError(t, err)
	require.Equal(t, first.ID, before.ID, "one with the same text is not before it")
	_, err = db.Before(t.Context(), first)
	require.ErrorContains(t, err, "no earlier")
	list, err := db.SiteConfigs(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, list, 3)
	_, err = db.SiteConfigAt(t.Context(), 1)
	require.ErrorContains(t, err, "no version 1")
}

func TestHashBounds(t *testing.T) {
	for password, want := range map[string]string{"elevenchars": "11 characters", string(make([]byte, 73)): "73 bytes", "ünïcödéünïcö": ""} {
		_, err := Hash(password, 12)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
}
