-- Users, tokens, code hosts and repositories.

CREATE TABLE site (
	one            boolean PRIMARY KEY DEFAULT true CHECK (one),
	site_id        uuid NOT NULL DEFAULT gen_random_uuid(),
	initialized_at timestamptz -- when the first administrator was made
);
INSERT INTO site DEFAULT VALUES;

CREATE TABLE users (
	id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	username      text NOT NULL CHECK (username <> ''),
	email         text NOT NULL CHECK (email <> ''),
	password_hash bytea NOT NULL,
	site_admin    boolean NOT NULL DEFAULT false,
	created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_username ON users (lower(username));
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE access_tokens (
	id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	user_id      bigint NOT NULL REFERENCES users ON DELETE CASCADE,
	hash         bytea NOT NULL UNIQUE, -- SHA-256 of the token
	scopes       text[] NOT NULL,
	note         text NOT NULL,
	created_at   timestamptz NOT NULL DEFAULT now(),
	last_used_at timestamptz
);

CREATE TABLE external_services (
	id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	kind            text NOT NULL,
	display_name    text NOT NULL,
	config          text NOT NULL,
	created_at      timestamptz NOT NULL DEFAULT now(),
	updated_at      timestamptz NOT NULL DEFAULT now(),
	last_sync_at    timestamptz,
	last_sync_error text
);

CREATE TABLE repos (
	id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name                text NOT NULL UNIQUE,
	clone_url           text NOT NULL, -- may hold a password
	external_service_id bigint REFERENCES external_services ON DELETE SET NULL,
	created_at          timestamptz NOT NULL DEFAULT now(),
	deleted_at          timestamptz, -- its clone is still to be removed; the row goes after that
	cloned              boolean NOT NULL DEFAULT false,
	cloning             boolean NOT NULL DEFAULT false,
	last_fetched_at     timestamptz,
	last_changed_at     timestamptz,
	last_error          text,
	failures            integer NOT NULL DEFAULT 0, -- in a row
	next_fetch_at       timestamptz NOT NULL DEFAULT now(),
	disk_bytes          bigint NOT NULL DEFAULT 0
);
CREATE INDEX repos_next_fetch_at ON repos (next_fetch_at);
