package database

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// User is an account.
type User struct {
	ID                    int64
	Username              string
	Email                 string // empty: none
	PasswordHash          string // empty: no password fits
	SiteAdmin             bool
	CreatedAt             time.Time
	InvalidatedSessionsAt time.Time // another when all sessions have ended
}

// ErrNotFound is returned for a row that is not there.
var ErrNotFound = errors.New("not found")

// ErrInitialized is returned to whoever comes second to make the first administrator.
var ErrInitialized = errors.New("the site is already initialized")

// selectUser finds those who were not deleted.
const selectUser = `SELECT u.id, u.username, coalesce(e.email, ''), coalesce(u.passwd, ''), u.site_admin, u.created_at, u.invalidated_sessions_at
	FROM users u LEFT JOIN user_emails e ON e.user_id = u.id AND e.is_primary WHERE u.deleted_at IS NULL AND `

func scanUser(row pgx.Row) (User, error) {
	var u User
	err := row.Scan(&u.ID, &u.Username, &u.Email, &u.PasswordHash, &u.SiteAdmin, &u.CreatedAt, &u.InvalidatedSessionsAt)
	return u, notFound(err, "read a user")
}

func notFound(err error, doing string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}

// Site gives the site's identity and whether its first administrator exists.
func (db *DB) Site(ctx context.Context) (id string, initialized bool, err error) {
	err = db.pool.QueryRow(ctx, `SELECT site_id::text, initialized FROM global_state`).Scan(&id, &initialized)
	return id, initialized, notFound(err, "read the site")
}

// Initialize makes the first administrator. It works once, whoever asks at the same time: the others get [ErrInitialized].
func (db *DB) Initialize(ctx context.Context, username, email, hash string) (u User, err error) {
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE global_state SET initialized = true WHERE NOT initialized`) // the row's lock is the queue
		if err != nil {
			return fmt.Errorf("initialize the site: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return ErrInitialized
		}
		var id int64
		if err := tx.QueryRow(ctx, `INSERT INTO users (username, passwd, site_admin) VALUES ($1, $2, true) RETURNING id`, username, hash).Scan(&id); err != nil {
			return fmt.Errorf("make the first administrator: %w", err)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO user_emails (user_id, email, verified_at, is_primary) VALUES ($1, $2, now(), true)`, id, email); err != nil {
			return fmt.Errorf("keep the first administrator's address: %w", err)
		}
		u, err = scanUser(tx.QueryRow(ctx, selectUser+`u.id = $1`, id))
		return err
	})
	return u, err
}

// User finds an account by id.
func (db *DB) User(ctx context.Context, id int64) (User, error) {
	return scanUser(db.pool.QueryRow(ctx, selectUser+`u.id = $1`, id))
}

// UserByLogin finds an account by user name or mail address, without regard to case.
func (db *DB) UserByLogin(ctx context.Context, login string) (User, error) {
	return scanUser(db.pool.QueryRow(ctx, selectUser+`(lower(u.username) = lower($1) OR lower(e.email) = lower($1))
		ORDER BY lower(u.username) = lower($1) DESC LIMIT 1`, login))
}

// Token is an access token as it is kept: not the token itself.
type Token struct {
	ID         int64
	UserID     int64
	Note       string
	Scopes     []string
	CreatedAt  time.Time
	LastUsedAt *time.Time
}

// AddToken keeps the hash of a new token.
func (db *DB) AddToken(ctx context.Context, userID int64, token, note string, scopes []string) (id int64, err error) {
	hash := sha256.Sum256([]byte(token))
	err = db.pool.QueryRow(ctx, `INSERT INTO access_tokens (user_id, hash, note, scopes) VALUES ($1, $2, $3, $4) RETURNING id`,
		userID, hash[:], note, scopes).Scan(&id)
	return id, notFound(err, "keep an access token")
}

// UserByToken finds the account a token speaks for, and notes the use at most once a minute.
func (db *DB) UserByToken(ctx context.Context, token string) (User, error) {
	hash := sha256.Sum256([]byte(token))
	u, err := scanUser(db.pool.QueryRow(ctx, selectUser+`u.id = (SELECT user_id FROM access_tokens WHERE hash = $1)`, hash[:]))
	if err != nil {
		return u, err
	}
	_, err = db.pool.Exec(ctx, `UPDATE access_tokens SET last_used_at = now()
		WHERE hash = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`, hash[:])
	return u, notFound(err, "note the use of an access token")
}

// Tokens lists a user's tokens, newest first.
func (db *DB) Tokens(ctx context.Context, userID int64) ([]Token, error) {
	rows, err := db.pool.Query(ctx, `SELECT id, user_id, note, scopes, created_at, last_used_at FROM access_tokens WHERE user_id = $1 ORDER BY id DESC`, userID)
	if err != nil {
		return nil, fmt.Errorf("list access tokens: %w", err)
	}
	tokens, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Token])
	return tokens, notFound(err, "list access tokens")
}

// DeleteToken revokes a token of a user.
func (db *DB) DeleteToken(ctx context.Context, userID, id int64) error {
	tag, err := db.pool.Exec(ctx, `DELETE FROM access_tokens WHERE id = $1 AND user_id = $2`, id, userID)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return notFound(err, "delete an access token")
}

// DeleteTokenByHash revokes a token of a user, given the SHA-256 of the token.
func (db *DB) DeleteTokenByHash(ctx context.Context, userID int64, hash []byte) error {
	tag, err := db.pool.Exec(ctx, `DELETE FROM access_tokens WHERE hash = $1 AND user_id = $2`, hash, userID)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return notFound(err, "delete an access token")
}
