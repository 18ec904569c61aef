package roster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

func siteFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "appliance.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// TestKeysOfWhatIsElsewhere: each key of the three arrives where the plan is made from.
func TestKeysOfWhatIsElsewhere(t *testing.T) {
	c, err := readConfig(siteFile(t, `
postgres:
  frontend: {host: db, port: 6432, user: sg, password_secret: pg, database: main, sslmode: verify-full, root_cert: /etc/ssl/db.pem}
redis:
  store: {host: store, port: 6390, user: app, password_secret: rs, database: 2, tls: true}
object_storage: {backend: S3, endpoint: "https://s3", region: eu, bucket: b, access_key_id: AK, secret_access_key_secret: s3, path_style: true, manage_bucket: true}
`))
	require.NoError(t, err)
	require.Equal(t, services.External{
		Postgres: services.ExternalPostgres{Frontend: &services.Database{
			Host: "db", Port: 6432, User: "sg", PasswordSecret: "pg", Name: "main", SSLMode: "verify-full", RootCert: "/etc/ssl/db.pem",
		}},
		Redis: services.ExternalRedis{Store: &services.RedisServer{Host: "store", Port: 6390, User: "app", PasswordSecret: "rs", Database: 2, TLS: true}},
		ObjectStorage: &services.ObjectStorage{
			Backend: "S3", Endpoint: "https://s3", Region: "eu", Bucket: "b", AccessKeyID: "AK", SecretKeySecret: "s3", PathStyle: true, ManageBucket: true,
		},
	}, c.site.External)
	s, err := c.selection("demo", "1.0.0")
	require.NoError(t, err)
	require.Equal(t, c.site.External, s.External)
}

// TestKeysOfAnotherBackendAreRefused: nobody would read them.
func TestKeysOfAnotherBackendAreRefused(t *testing.T) {
	_, err := readConfig(siteFile(t, "object_storage:\n  backend: GCS\n  project: p\n  endpoint: http://a\n  access_key_id: AK\n"))
	require.ErrorContains(t, err, ":4:13: object_storage.endpoint: has no effect with the backend GCS; leave it out")
	require.ErrorContains(t, err, ":5:18: object_storage.access_key_id: has no effect")
	_, err = readConfig(siteFile(t, "object_storage: {backend: S3, project: p, key_secret: k}\n"))
	require.ErrorContains(t, err, "object_storage.project: has no effect with the backend S3")
	require.ErrorContains(t, err, "object_storage.key_secret: has no effect with the backend S3")
	_, err = readConfig(siteFile(t, "object_storage: {bucket: b}\n"))
	require.ErrorContains(t, err, "object_storage: backend is missing")
}

func TestFaultsOfWhatIsElsewhereStandWhereTheyAre(t *testing.T) {
	_, err := readConfig(siteFile(t, "postgres:\n  frontend: {host: db, prot: 5432, sslmode: \"off\"}\nredis:\n  cache: {port: 70000}\nobject_storage: {backend: s3}\n"))
	for _, want := range []string{":2:", `did you mean "port"`, "postgres.frontend.sslmode", ":4:", "redis.cache.port", ":5:", "object_storage.backend"} {
		require.ErrorContains(t, err, want)
	}
	_, err = readConfig(siteFile(t, "postgres:\n  frontend: {host: db}\nredis:\n  cache: {port: 6379}\n"))
	for _, want := range []string{"postgres.frontend: user is missing", "postgres.frontend: database is missing", "redis.cache: host is missing"} {
		require.ErrorContains(t, err, want)
	}
}
