-- What came to 3.38's until 5: roles beside users.site_admin, and who wrote a site configuration. src: sourcegraph: migrations/frontend/squashed.sql @5
ALTER TABLE users DROP COLUMN tags, ADD COLUMN searchable boolean NOT NULL DEFAULT true,
	ADD COLUMN completions_quota integer, ADD COLUMN code_completions_quota integer, ADD COLUMN completed_post_signup boolean NOT NULL DEFAULT false;
ALTER TABLE users DROP CONSTRAINT users_username_valid_chars, ADD CONSTRAINT users_username_valid_chars CHECK (username ~ '^\w(?:\w|[-.](?=\w))*-?$'::citext);
ALTER TABLE global_state DROP COLUMN mgmt_password_plaintext, DROP COLUMN mgmt_password_bcrypt;
ALTER TABLE critical_and_site_config ADD COLUMN author_user_id integer, ADD COLUMN redacted_contents text;

CREATE TABLE roles (id serial PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now(), system boolean NOT NULL DEFAULT false, name citext NOT NULL);
CREATE UNIQUE INDEX unique_role_name ON roles (name);
INSERT INTO roles (name, system) VALUES ('USER', true), ('SITE_ADMINISTRATOR', true);
CREATE TABLE user_roles (
	user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE DEFERRABLE,
	role_id integer NOT NULL REFERENCES roles (id) ON DELETE CASCADE DEFERRABLE,
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (user_id, role_id)
);
