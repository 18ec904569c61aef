package product

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// User is an account that was not deleted.
type User struct {
	ID       int64
	Username string // as the product spells it
	Admin    bool
}

// Initialized reports whether the first administrator was made. A site without a row was not used yet.
func (db *DB) Initialized(ctx context.Context) (bool, error) {
	if err := db.schema.need("global_state", "initialized"); err != nil {
		return false, err
	}
	var yes bool
	err := db.conn.QueryRow(ctx, `SELECT initialized FROM global_state LIMIT 1`).Scan(&yes)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ask whether the product has an administrator: %w", err)
	}
	return yes, nil
}

// CreateAdmin adds an administrator; email is optional, and counts as verified. hash is bcrypt's.
func (db *DB) CreateAdmin(ctx context.Context, username, email, hash string) error {
	if err := errors.Join(db.canCreate(), db.canGrant()); err != nil {
		return err
	}
	return db.change(ctx, func(tx pgx.Tx) error {
		var id int64
		err := tx.QueryRow(ctx, `INSERT INTO users (username, passwd, site_admin) VALUES ($1, $2, true) RETURNING id`, username, hash).Scan(&id)
		if err != nil {
			return refused(err, username, email)
		}
		if db.schema.has("names") { // shared with organisations
			if _, err := tx.Exec(ctx, `INSERT INTO names (name, user_id) VALUES ($1, $2)`, username, id); err != nil {
				return refused(err, username, email)
			}
		}
		if email != "" {
			if _, err := tx.Exec(ctx, `INSERT INTO user_emails (user_id, email, verified_at, is_primary) VALUES ($1, $2, now(), true)`, id, email); err != nil {
				return refused(err, username, email)
			}
		}
		return db.grant(ctx, tx, id, "USER", "SITE_ADMINISTRATOR")
	})
}

func (db *DB) canCreate() error {
	faults := []error{db.schema.insert("users", "username", "passwd", "site_admin"), db.schema.insert("user_emails", "user_id", "email", "verified_at", "is_primary")}
	if db.schema.has("names") {
		faults = append(faults, db.schema.insert("names", "name", "user_id"))
	}
	return errors.Join(faults...)
}

// canGrant looks at roles, which later releases have beside users.site_admin.
func (db *DB) canGrant() error {
	if !db.schema.has("roles") && !db.schema.has("user_roles") {
		return nil
	}
	return errors.Join(db.schema.need("roles", "id", "name"), db.schema.insert("user_roles", "user_id", "role_id"))
}

// grant gives a user the product's own roles. src: sourcegraph: internal/types/types.go (SystemRole), internal/database/user_roles.go @5
func (db *DB) grant(ctx context.Context, tx pgx.Tx, id int64, roles ...string) error {
	if !db.schema.has("roles") {
		return nil
	}
	var found int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM roles WHERE name::text = ANY ($1)`, roles).Scan(&found); err != nil {
		return fmt.Errorf("find the product's roles: %w", err)
	}
	if found != len(roles) {
		return unknown(fmt.Sprintf("of the roles %s it has %d", strings.Join(roles, ", "), found))
	}
	_, err := tx.Exec(ctx, `INSERT INTO user_roles (user_id, role_id) SELECT $1, id FROM roles WHERE name::text = ANY ($2) ON CONFLICT DO NOTHING`, id, roles)
	if err != nil {
		return fmt.Errorf("give the user the roles %s: %w", strings.Join(roles, ", "), err)
	}
	return nil
}

// SetPassword gives a user another password, ends all sessions of theirs and voids a link to reset it. Access tokens stay.
// When it returns, sessions that begin are good ones.
func (db *DB) SetPassword(ctx context.Context, username, hash string) (User, error) {
	if err := db.schema.need("users", "passwd", "updated_at", "invalidated_sessions_at"); err != nil {
		return User{}, err
	}
	link := ""
	if db.schema.has("users", "passwd_reset_code", "passwd_reset_time") {
		link = ", passwd_reset_code = NULL, passwd_reset_time = NULL"
	}
	var u User
	err := db.change(ctx, func(tx pgx.Tx) (err error) {
		if u, err = db.user(ctx, tx, username); err != nil {
			return err
		}
		// A second ahead, as the product's own trigger has it: a session is as old as its last use, in whole seconds.
		// src: sourcegraph: migrations/frontend (invalidate_session_for_userid_on_password_change)
		_, err = tx.Exec(ctx, `UPDATE users SET passwd = $2, updated_at = now(), invalidated_sessions_at = now() + interval '1 second'`+link+` WHERE id = $1`, u.ID, hash)
		if err != nil {
			return fmt.Errorf("set the password of %s: %w", username, err)
		}
		return nil
	})
	if err != nil || db.dry {
		return u, err
	}
	var slept string
	err = db.conn.QueryRow(ctx, `SELECT pg_sleep(least(2, greatest(0, extract(epoch FROM invalidated_sessions_at - clock_timestamp()))))::text FROM users WHERE id = $1`, u.ID).Scan(&slept)
	if err != nil {
		return u, fmt.Errorf("the password is set; wait until sessions may begin: %w", err)
	}
	return u, nil
}

// Promote makes a user an administrator. The user it returns is as it was before.
func (db *DB) Promote(ctx context.Context, username string) (User, error) {
	if err := errors.Join(db.schema.need("users", "site_admin", "updated_at"), db.canGrant()); err != nil {
		return User{}, err
	}
	var u User
	err := db.change(ctx, func(tx pgx.Tx) (err error) {
		if u, err = db.user(ctx, tx, username); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE users SET site_admin = true, updated_at = now() WHERE id = $1`, u.ID); err != nil {
			return fmt.Errorf("make %s an administrator: %w", username, err)
		}
		return db.grant(ctx, tx, u.ID, "SITE_ADMINISTRATOR")
	})
	return u, err
}

// user finds and locks an account, without regard to case.
func (db *DB) user(ctx context.Context, tx pgx.Tx, username string) (User, error) {
	if err := db.schema.need("users", "id", "username", "site_admin", "deleted_at"); err != nil {
		return User{}, err
	}
	var u User
	err := tx.QueryRow(ctx, `SELECT id, username::text, site_admin FROM users WHERE lower(username::text) = lower($1) AND deleted_at IS NULL FOR UPDATE`, username).
		Scan(&u.ID, &u.Username, &u.Admin)
	if errors.Is(err, pgx.ErrNoRows) {
		return u, db.nobody(ctx, tx, username)
	}
	if err != nil {
		return u, fmt.Errorf("find the user %s: %w", username, err)
	}
	return u, nil
}

// nobody says who there is instead: the administrators, five at most.
func (db *DB) nobody(ctx context.Context, tx pgx.Tx, username string) error {
	rows, err := tx.Query(ctx, `SELECT username::text FROM users WHERE site_admin AND deleted_at IS NULL ORDER BY id LIMIT 5`)
	if err != nil {
		return fmt.Errorf("list the administrators: %w", err)
	}
	admins, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list the administrators: %w", err)
	}
	fix := "make an administrator with: sourcegraph admin create " + username
	if len(admins) > 0 {
		fix = "administrators are: " + strings.Join(admins, ", ")
	}
	return &Refusal{codeInvalid, fmt.Sprintf("the product has no user %q", username), fix}
}

// refused tells why a user cannot be added. SQLSTATEs: PostgreSQL, "Error Codes".
func refused(err error, username, email string) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return fmt.Errorf("add the user %s: %w", username, err)
	}
	switch {
	case e.Code == "23505" && !strings.HasPrefix(e.ConstraintName, "user_emails"):
		return &Refusal{codeRefused, fmt.Sprintf("the name %q is taken", username), fmt.Sprintf("sourcegraph admin promote %s makes that user an administrator, reset-password gives another password", username)}
	case e.Code == "23505" || e.Code == "23P01":
		return &Refusal{codeRefused, fmt.Sprintf("the address %s is another user's", email), "leave --email out, or give another"}
	case e.Code == "23514":
		return &Refusal{codeInvalid, fmt.Sprintf("the product takes no user name such as %q", username), "letters, digits, and single '-' or '.' between them"}
	}
	return fmt.Errorf("add the user %s: %w", username, err)
}
