-- What came to 5's until 7: every row belongs to a tenant, of which there is one. src: sourcegraph: migrations/frontend/squashed.sql @7
CREATE TABLE tenants (id bigint PRIMARY KEY, name text NOT NULL UNIQUE);
INSERT INTO tenants VALUES (1, 'default');
ALTER TABLE users DROP COLUMN searchable, ADD COLUMN service_account boolean NOT NULL DEFAULT false, ADD COLUMN unrestricted_repo_access boolean NOT NULL DEFAULT false;
ALTER TABLE global_state DROP CONSTRAINT global_state_pkey, ADD COLUMN id bigserial PRIMARY KEY;
ALTER TABLE user_emails ADD COLUMN deleted_at timestamptz, ADD COLUMN id bigserial PRIMARY KEY;
DO $$ DECLARE t text; BEGIN
	FOREACH t IN ARRAY ARRAY['users', 'names', 'user_emails', 'global_state', 'roles', 'user_roles'] LOOP
		EXECUTE format('ALTER TABLE %I ADD COLUMN tenant_id integer NOT NULL DEFAULT 1', t);
		EXECUTE format('ALTER TABLE %I ALTER COLUMN tenant_id SET DEFAULT (current_setting(''app.current_tenant''::text))::integer', t);
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
		EXECUTE format('CREATE POLICY tenant_isolation_policy ON %I USING (tenant_id = (SELECT current_setting(''app.current_tenant''::text)::integer AS current_tenant))', t);
	END LOOP;
END $$;
ALTER TABLE names DROP CONSTRAINT names_pkey, ADD CONSTRAINT names_pkey PRIMARY KEY (name, tenant_id);
ALTER TABLE user_emails DROP CONSTRAINT user_emails_unique_verified_email,
	ADD CONSTRAINT user_emails_unique_verified_email EXCLUDE USING btree (email WITH =, tenant_id WITH =) WHERE (verified_at IS NOT NULL AND deleted_at IS NULL);
DROP INDEX users_username;
CREATE UNIQUE INDEX users_username ON users (username, tenant_id) WHERE deleted_at IS NULL;
