package services

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// everythingElsewhere is a site with servers of its own for all that can be elsewhere.
func everythingElsewhere() External {
	db := func(name string) *Database {
		return &Database{Host: "db.example", Port: 6432, User: "app", PasswordSecret: "pg", Name: name, SSLMode: "verify-full", RootCert: "/etc/ssl/db.pem"}
	}
	return External{
		Postgres:      ExternalPostgres{db("main"), db("intel"), db("insights")},
		Redis:         ExternalRedis{Cache: &RedisServer{Host: "cache.example"}, Store: &RedisServer{Host: "store.example", Port: 6390, User: "app", PasswordSecret: "redis-store", Database: 2, TLS: true}},
		ObjectStorage: &ObjectStorage{Backend: "S3", Region: "eu-west-1", Bucket: "sg", AccessKeyID: "AK", SecretKeySecret: "s3"},
	}
}

func build(t *testing.T, version string, x External) map[string]Instance {
	t.Helper()
	plan, err := Build(input(t, Selection{Product: "sourcegraph", Version: version, External: x}))
	require.NoError(t, err)
	out := map[string]Instance{}
	for _, inst := range plan.Instances {
		out[inst.Name()] = inst
	}
	return out
}

func envOf(inst Instance) map[string]string {
	out := map[string]string{}
	for _, word := range inst.Env {
		name, value, _ := strings.Cut(word, "=")
		out[name] = value
	}
	return out
}

func TestWhatIsElsewhereTakesThePlaceOfTheBundled(t *testing.T) {
	for _, family := range families[:7] {
		plan := build(t, family[1], everythingElsewhere())
		for _, name := range []string{"postgres", "redis-cache", "redis-store"} {
			require.Equal(t, KindExternal, plan[name].Kind, name)
			require.Empty(t, plan[name].Argv)
			require.Empty(t, plan[name].Files)
			require.True(t, plan[name].Wanted)
		}
		for name, inst := range plan {
			for _, word := range inst.Env {
				require.NotContains(t, word, "@secret{postgres}", "%s: %s", name, word)
				require.NotContains(t, word, "@secret{redis}", "%s: %s", name, word)
				require.False(t, strings.Contains(word, "PGHOST=127.0.0.1"), "%s: %s", name, word)
			}
			require.NotContains(t, inst.Needs, besidePostgres)
		}
		frontend := envOf(plan["frontend"])
		require.Equal(t, "db.example", frontend["PGHOST"])
		require.Equal(t, "6432", frontend["CODEINTEL_PGPORT"])
		require.Equal(t, "insights", frontend["CODEINSIGHTS_PGDATABASE"])
		require.Equal(t, "verify-full", frontend["PGSSLMODE"])
		require.Equal(t, "/etc/ssl/db.pem", frontend["PGSSLROOTCERT"])
		require.Equal(t, "@secret{pg}", frontend["PGPASSWORD"])
		require.Equal(t, "redis://cache.example:6379", frontend["REDIS_CACHE_ENDPOINT"])
		require.Equal(t, "rediss://app:@secret{redis-store:url}@store.example:6390/2", frontend["REDIS_STORE_ENDPOINT"])
		require.Equal(t, "S3", frontend["PRECISE_CODE_INTEL_UPLOAD_BACKEND"])
		require.Equal(t, "https://s3.eu-west-1.amazonaws.com", frontend["PRECISE_CODE_INTEL_UPLOAD_AWS_ENDPOINT"], "the default is the bundled store's address")
		require.Equal(t, "@secret{s3}", frontend["PRECISE_CODE_INTEL_UPLOAD_AWS_SECRET_ACCESS_KEY"])
		require.Equal(t, "db.example:6432/main?sslmode=verify-full&sslrootcert=%2Fetc%2Fssl%2Fdb.pem", envOf(plan["pgsql-exporter"])["DATA_SOURCE_URI"])
	}
}

// TestUploadsElsewhereByFamily is the catalog's table of upload variables.
func TestUploadsElsewhereByFamily(t *testing.T) {
	prefixes := func(version, service string) string {
		var out []string
		for name := range envOf(build(t, version, everythingElsewhere())[service]) {
			if prefix, ok := strings.CutSuffix(name, "_UPLOAD_BACKEND"); ok {
				out = append(out, prefix)
			}
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	require.Equal(t, "PRECISE_CODE_INTEL", prefixes("3.38.0", "frontend"))
	require.Equal(t, "EMBEDDINGS PRECISE_CODE_INTEL SEARCH_JOBS", prefixes("5.2.7", "frontend"))
	require.Equal(t, "PRECISE_CODE_INTEL SEARCH_JOBS", prefixes("6.4.0", "worker"))
	require.Equal(t, "PRECISE_CODE_INTEL SEARCH_JOBS SOURCEGRAPH", prefixes("7.5.4453", "frontend"))
	require.Equal(t, "SOURCEGRAPH", prefixes("7.5.4453", "gitserver"))
}

// TestGCSByFamily: the variables that a service reads for a bucket of Google Cloud, and none of S3.
// src: sourcegraph-public-snapshot: internal/uploadstore/gcs_client.go; sourcegraph/docs: self-hosted/external-services/object-storage
func TestGCSByFamily(t *testing.T) {
	x := External{ObjectStorage: &ObjectStorage{Backend: "GCS", Bucket: "sg", Project: "my-project", KeySecret: "gcs", ManageBucket: true}}
	for version, prefixes := range map[string][]string{
		"3.38.0": {"PRECISE_CODE_INTEL_UPLOAD_"}, "5.2.7": {"PRECISE_CODE_INTEL_UPLOAD_", "EMBEDDINGS_UPLOAD_", "SEARCH_JOBS_UPLOAD_"},
		"7.5.4453": {"PRECISE_CODE_INTEL_UPLOAD_", "SEARCH_JOBS_UPLOAD_", "SOURCEGRAPH_UPLOAD_"},
	} {
		want, got := map[string]string{}, map[string]string{}
		for _, p := range prefixes {
			want[p+"BACKEND"], want[p+"BUCKET"], want[p+"MANAGE_BUCKET"] = "GCS", "sg", "true"
			want[p+"GCP_PROJECT_ID"], want[p+"GOOGLE_APPLICATION_CREDENTIALS_FILE_CONTENT"] = "my-project", "@secret{gcs}"
		}
		for name, value := range envOf(build(t, version, x)["frontend"]) {
			if strings.Contains(name, "_UPLOAD_") {
				got[name] = value
			}
		}
		require.Equal(t, want, got, version)
	}
}

func TestBackendWithoutACloudHasItsFamilysName(t *testing.T) {
	x := External{ObjectStorage: &ObjectStorage{Backend: "blobstore", Endpoint: "http://10.0.0.7:9000"}}
	require.Equal(t, "minio", envOf(build(t, "3.38.0", x)["frontend"])["PRECISE_CODE_INTEL_UPLOAD_BACKEND"])
	seven := build(t, "7.5.4453", x)
	require.Equal(t, "blobstore", envOf(seven["worker"])["SOURCEGRAPH_UPLOAD_BACKEND"])
	require.Equal(t, "http://10.0.0.7:9000", seven["blobstore"].Ready.Storage.Endpoint)
	require.Equal(t, KindExternal, seven["blobstore"].Kind)
}

func TestBundledServerHoldsTheOtherDatabases(t *testing.T) {
	x := everythingElsewhere()
	x.Postgres.CodeIntel, x.Postgres.CodeInsights = nil, nil
	plan := build(t, "7.5.4453", x)
	require.Equal(t, KindService, plan["postgres"].Kind)
	require.Equal(t, KindExternal, plan[besidePostgres].Kind)
	require.Contains(t, plan["migrator"].Needs, besidePostgres)
	require.Contains(t, plan["migrator"].Needs, "postgres")
	frontend := envOf(plan["frontend"])
	require.Equal(t, "db.example", frontend["PGHOST"])
	require.Equal(t, loopback, frontend["CODEINTEL_PGHOST"])
	require.Equal(t, 16, plan[besidePostgres].Ready.Databases[0].MinMajor)
	require.Contains(t, plan[besidePostgres].Ready.Databases[0].Extensions, "vector")
}

func TestSecretsOfWhatIsElsewhereAreReadAndEscaped(t *testing.T) {
	plan, err := Build(input(t, Selection{Product: "sourcegraph", Version: "7.5.4453", External: everythingElsewhere()}))
	require.NoError(t, err)
	require.Subset(t, SecretsOf(plan), []string{"pg", "redis-store", "s3"})
	require.NotContains(t, SecretsOf(plan), "postgres", "what nothing uses is not made")
	require.Equal(t, []string{"s3", "gcs"}, (&Probe{Storage: &ObjectStorage{SecretKeySecret: "s3", KeySecret: "gcs"}}).secrets())
	for _, inst := range plan.Instances {
		if inst.Service != "frontend" {
			continue
		}
		full, err := Expand(inst, map[string]string{"pg": "p", "redis-store": "a/b@c:d", "s3": "s"})
		require.NoError(t, err)
		require.Equal(t, "rediss://app:a%2Fb@c:d@store.example:6390/2", strings.ReplaceAll(strings.ReplaceAll(envOf(full)["REDIS_STORE_ENDPOINT"], "%40", "@"), "%3A", ":"))
		require.NotContains(t, envOf(full)["REDIS_STORE_ENDPOINT"], "a/b")
	}
}

func TestExternalFaultsComeTogether(t *testing.T) {
	db := &Database{Host: "db", User: "sg", Name: "sg", SSLMode: "off"}
	x := External{
		Postgres: ExternalPostgres{Frontend: db, CodeIntel: &Database{Host: "db", Port: 5432, Name: "sg"}}, Redis: ExternalRedis{Cache: &RedisServer{}},
		ObjectStorage: &ObjectStorage{Backend: "s3"},
	}
	_, err := Selection{Product: "sourcegraph", Version: "7.5.4453", External: x}.Effective()
	for _, want := range []string{
		`postgres.frontend.sslmode: "off" is none`, "postgres.codeintel.user is missing", "redis.cache.host is missing", `object_storage.backend: "s3" is none`,
		"postgres.codeintel is the same database as postgres.frontend",
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestHowAnExternalRunsIsNotSaidHere(t *testing.T) {
	s := Selection{Product: "demo", Version: "1.0.0", External: everythingElsewhere(), Overrides: map[string]Override{"postgres": {Args: []string{"-c", "work_mem=1GB"}}}}
	_, err := s.Effective()
	require.ErrorContains(t, err, "services.postgres: it runs elsewhere")
	yes := true
	s.Overrides["postgres"] = Override{Disabled: &yes}
	_, err = s.Effective()
	require.ErrorContains(t, err, "migrator needs postgres, which is disabled")
}

func TestHashOfAnExternalFollowsWhatItIsAsked(t *testing.T) {
	x := everythingElsewhere()
	before := build(t, "7.5.4453", x)
	x.Redis.Store = &RedisServer{Host: "store.example", Port: 6390, User: "app", PasswordSecret: "another", Database: 2, TLS: true}
	after := build(t, "7.5.4453", x)
	require.NotEqual(t, before["redis-store"].Hash, after["redis-store"].Hash)
	require.NotEqual(t, before["frontend"].Hash, after["frontend"].Hash)
	require.Equal(t, before["postgres"].Hash, after["postgres"].Hash)
	text, err := json.Marshal(before["postgres"])
	require.NoError(t, err)
	require.NotContains(t, string(text), "@secret{", "an external instance refers to secrets by name only")
}
