-- Cut down to the tables that an administrator lives in. src: sourcegraph-public-snapshot: internal/database/schema.md and users.go
-- as they were shortly before and at 3.38, migrations/frontend
CREATE EXTENSION citext;
CREATE TYPE critical_or_site AS ENUM ('critical', 'site');

CREATE TABLE users (
	id serial PRIMARY KEY,
	username citext NOT NULL,
	display_name text,
	avatar_url text,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	deleted_at timestamptz,
	invite_quota integer NOT NULL DEFAULT 15,
	passwd text,
	passwd_reset_code text,
	passwd_reset_time timestamptz,
	site_admin boolean NOT NULL DEFAULT false,
	page_views integer NOT NULL DEFAULT 0,
	search_queries integer NOT NULL DEFAULT 0,
	tags text[] DEFAULT '{}'::text[],
	billing_customer_id text,
	invalidated_sessions_at timestamptz NOT NULL DEFAULT now(),
	tos_accepted boolean NOT NULL DEFAULT false,
	CONSTRAINT users_display_name_max_length CHECK (char_length(display_name) <= 255),
	CONSTRAINT users_username_max_length CHECK (char_length(username::text) <= 255),
	CONSTRAINT users_username_valid_chars CHECK (username ~ '^[a-zA-Z0-9](?:[a-zA-Z0-9]|[-.](?=[a-zA-Z0-9]))*-?$'::citext)
);
CREATE UNIQUE INDEX users_username ON users (username) WHERE deleted_at IS NULL;

CREATE FUNCTION invalidate_session_for_userid_on_password_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.passwd != NEW.passwd THEN
		NEW.invalidated_sessions_at = now() + (1 * interval '1 second');
		RETURN NEW;
	END IF;
	RETURN NEW;
END;
$$;
CREATE TRIGGER trig_invalidate_session_on_password_change BEFORE UPDATE OF passwd ON users FOR EACH ROW EXECUTE PROCEDURE invalidate_session_for_userid_on_password_change();

CREATE TABLE orgs (id serial PRIMARY KEY, name citext NOT NULL);
CREATE TABLE names (
	name citext NOT NULL PRIMARY KEY,
	user_id integer REFERENCES users (id) ON UPDATE CASCADE ON DELETE CASCADE,
	org_id integer REFERENCES orgs (id) ON UPDATE CASCADE ON DELETE CASCADE,
	CONSTRAINT names_check CHECK (user_id IS NOT NULL OR org_id IS NOT NULL)
);

CREATE TABLE user_emails (
	user_id integer NOT NULL REFERENCES users (id),
	email citext NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	verification_code text,
	verified_at timestamptz,
	last_verification_sent_at timestamptz,
	is_primary boolean NOT NULL DEFAULT false,
	CONSTRAINT user_emails_no_duplicates_per_user UNIQUE (user_id, email),
	CONSTRAINT user_emails_unique_verified_email EXCLUDE USING btree (email WITH =) WHERE (verified_at IS NOT NULL)
);
CREATE UNIQUE INDEX user_emails_user_id_is_primary_idx ON user_emails (user_id, is_primary) WHERE is_primary = true;

CREATE TABLE global_state (
	site_id uuid NOT NULL PRIMARY KEY,
	initialized boolean NOT NULL DEFAULT false,
	mgmt_password_plaintext text NOT NULL DEFAULT '',
	mgmt_password_bcrypt text NOT NULL DEFAULT ''
);

CREATE TABLE critical_and_site_config (
	id serial PRIMARY KEY,
	type critical_or_site NOT NULL,
	contents text NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX critical_and_site_config_unique ON critical_and_site_config (id, type);
