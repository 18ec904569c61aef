package services

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
)

// External is what the site runs elsewhere. The bundled one is then not started: an instance of [KindExternal] with its name takes its place, is
// probed, and satisfies what needs it. The tags are those of supervisor/roster/keys.
type External struct {
	Postgres      ExternalPostgres `yaml:"postgres,omitempty" json:"postgres,omitzero" doc:"databases of a PostgreSQL of the site's own, in place of the bundled ones" changing:"the services that use them are restarted; data is not moved"`
	Redis         ExternalRedis    `yaml:"redis,omitempty" json:"redis,omitzero" doc:"Redis servers of the site's own, 6.2 at least; cluster and sentinel are not supported" changing:"the services that use them are restarted; data is not moved"`
	ObjectStorage *ObjectStorage   `yaml:"object_storage,omitempty" json:"object_storage,omitempty" doc:"a bucket of the site's own, in place of the bundled store" changing:"the services that use it are restarted; data is not moved"`
}

// ExternalPostgres are the databases that lie elsewhere; the bundled server holds the others, if any.
type ExternalPostgres struct {
	Frontend     *Database `yaml:"frontend,omitempty" json:"frontend,omitempty" doc:"the main database: users, settings, repositories"`
	CodeIntel    *Database `yaml:"codeintel,omitempty" json:"codeintel,omitempty" doc:"the database of precise navigation"`
	CodeInsights *Database `yaml:"codeinsights,omitempty" json:"codeinsights,omitempty" doc:"the database of code insights"`
}

// ExternalRedis are the servers that run elsewhere. Both may be the same one, at the cost of the split: a cache may forget, the store may not.
type ExternalRedis struct {
	Cache *RedisServer `yaml:"cache,omitempty" json:"cache,omitempty" doc:"what may be forgotten: maxmemory-policy allkeys-lru there"`
	Store *RedisServer `yaml:"store,omitempty" json:"store,omitempty" doc:"sessions and queues: maxmemory-policy noeviction there"`
}

// Database is one database of a PostgreSQL server elsewhere.
type Database struct {
	Host           string `yaml:"host,omitempty" json:"host" doc:"name or address of the server" example:"db.example.com"`
	Port           int    `yaml:"port,omitempty" json:"port,omitempty" doc:"its port" example:"6432" min:"1" max:"65535" unset:"5432"`
	User           string `yaml:"user,omitempty" json:"user" doc:"who signs in; owns the database" example:"sg"`
	PasswordSecret string `yaml:"password_secret,omitempty" json:"password_secret,omitempty" doc:"the file in secrets/ that holds the password" example:"postgres-main" unset:"none is asked for" pattern:"^[A-Za-z0-9._-]+$" wants:"a name of a file in secrets/"`
	Name           string `yaml:"database,omitempty" json:"database" doc:"name of the database" example:"sg"`
	SSLMode        string `yaml:"sslmode,omitempty" json:"sslmode,omitempty" doc:"how the connection is encrypted and the server proved, as libpq says it" example:"verify-full" unset:"require" enum:"disable,require,verify-ca,verify-full"`
	RootCert       string `yaml:"root_cert,omitempty" json:"root_cert,omitempty" doc:"absolute path of the certificates that verify-ca and verify-full trust; readable for all services" example:"/etc/ssl/certs/db.pem" unset:"the system's" pattern:"^/" wants:"an absolute path"`

	Extensions []string `yaml:"-" json:"extensions,omitempty"` // that it must offer; filled by the wiring
	MinMajor   int      `yaml:"-" json:"min_major,omitempty"`  // oldest version that this release can use; filled by the wiring
}

// RedisServer is a Redis server elsewhere. src: sourcegraph/docs: self-hosted/external-services/redis
type RedisServer struct {
	Host           string `yaml:"host,omitempty" json:"host" doc:"name or address of the server" example:"redis.example.com"`
	Port           int    `yaml:"port,omitempty" json:"port,omitempty" doc:"its port" example:"6390" min:"1" max:"65535" unset:"6379"`
	User           string `yaml:"user,omitempty" json:"user,omitempty" doc:"who signs in" example:"sg" unset:"Redis' default user"`
	PasswordSecret string `yaml:"password_secret,omitempty" json:"password_secret,omitempty" doc:"the file in secrets/ that holds the password" example:"redis-store" unset:"none is asked for" pattern:"^[A-Za-z0-9._-]+$" wants:"a name of a file in secrets/"`
	Database       int    `yaml:"database,omitempty" json:"database,omitempty" doc:"number of the database" example:"1" min:"0" max:"65535" unset:"0"`
	TLS            bool   `yaml:"tls,omitempty" json:"tls,omitempty" doc:"encrypt the connection, and prove the server by the system's certificates" example:"true" unset:"false"`
}

// ObjectStorage is a bucket elsewhere.
// src: sourcegraph/docs: self-hosted/external-services/object-storage; sourcegraph/deploy-sourcegraph-docker: README (SOURCEGRAPH_UPLOAD_*)
type ObjectStorage struct {
	Backend         string `yaml:"backend,omitempty" json:"backend" doc:"what it is; blobstore is an S3 server without a cloud" example:"S3" enum:"S3,GCS,blobstore"`
	Endpoint        string `yaml:"endpoint,omitempty" json:"endpoint,omitempty" doc:"its URL" example:"https://s3.example.com" unset:"the cloud's own" pattern:"^https?://" wants:"a URL such as http://10.0.0.7:9000"`
	Region          string `yaml:"region,omitempty" json:"region,omitempty" doc:"of S3" example:"eu-west-1" unset:"us-east-1"`
	Bucket          string `yaml:"bucket,omitempty" json:"bucket,omitempty" doc:"one bucket for everything" example:"sourcegraph" unset:"one for each feature, with Sourcegraph's names"`
	AccessKeyID     string `yaml:"access_key_id,omitempty" json:"access_key_id,omitempty" doc:"of S3" example:"AKIDEXAMPLE" unset:"the role of the machine"`
	SecretKeySecret string `yaml:"secret_access_key_secret,omitempty" json:"secret_access_key_secret,omitempty" doc:"the file in secrets/ that holds the secret access key" example:"s3" unset:"the role of the machine" pattern:"^[A-Za-z0-9._-]+$" wants:"a name of a file in secrets/"`
	PathStyle       bool   `yaml:"path_style,omitempty" json:"path_style,omitempty" doc:"the bucket is part of the path, not of the host's name" example:"true" unset:"false"`
	ManageBucket    bool   `yaml:"manage_bucket,omitempty" json:"manage_bucket,omitempty" doc:"Sourcegraph makes the bucket and its rules" example:"true" unset:"false"`
	Project         string `yaml:"project,omitempty" json:"project,omitempty" doc:"of GCS" example:"my-project" unset:"none"`
	KeySecret       string `yaml:"key_secret,omitempty" json:"key_secret,omitempty" doc:"the file in secrets/ that holds the JSON key of a GCS service account" example:"gcs" unset:"the role of the machine" pattern:"^[A-Za-z0-9._-]+$" wants:"a name of a file in secrets/"`
}

// Check refuses a database that cannot be found, where it is written.
func (d *Database) Check(given func(string) bool, fault func(key, text string)) {
	for _, key := range []string{"host", "user", "database"} {
		if !given(key) {
			fault("", key+" is missing")
		}
	}
}

// Check refuses a server that cannot be found, where it is written.
func (r *RedisServer) Check(given func(string) bool, fault func(key, text string)) {
	if !given("host") {
		fault("", "host is missing")
	}
}

// Check refuses keys that the backend does not take, where they are written: nobody would read them.
func (o *ObjectStorage) Check(given func(string) bool, fault func(key, text string)) {
	if !given("backend") {
		fault("", "backend is missing")
	}
	others := map[string][]string{
		"GCS":       {"endpoint", "region", "access_key_id", "secret_access_key_secret", "path_style"},
		"S3":        {"project", "key_secret"},
		"blobstore": {"project", "key_secret"},
	}
	for _, key := range others[o.Backend] {
		if given(key) {
			fault(key, "has no effect with the backend "+o.Backend+"; leave it out")
		}
	}
}

// Address is host:port.
func (d Database) Address() string { return hostPort(d.Host, d.Port, 5432) }

// Address is host:port.
func (r RedisServer) Address() string { return hostPort(r.Host, r.Port, 6379) }

func hostPort(host string, port, otherwise int) string {
	if port == 0 {
		port = otherwise
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// Validate reports every value that cannot be right, each with its key.
func (x External) Validate() error {
	var faults []error
	for _, one := range x.Postgres.named() {
		if one.db != nil {
			faults = append(faults, one.db.validate("postgres."+one.key))
		}
	}
	for key, r := range map[string]*RedisServer{"redis.cache": x.Redis.Cache, "redis.store": x.Redis.Store} {
		if r != nil && r.Host == "" {
			faults = append(faults, fmt.Errorf("%s.host is missing", key))
		}
	}
	if o := x.ObjectStorage; o != nil {
		faults = append(faults, o.validate())
	}
	f, c := x.Postgres.Frontend, x.Postgres.CodeIntel
	if f != nil && c != nil && f.Address() == c.Address() && f.Name == c.Name {
		faults = append(faults, errors.New("postgres.codeintel is the same database as postgres.frontend: give it one of its own, on the same server if you like"))
	}
	return errors.Join(faults...)
}

func (d Database) validate(key string) error {
	var faults []error
	for name, value := range map[string]string{"host": d.Host, "user": d.User, "database": d.Name} {
		if value == "" {
			faults = append(faults, fmt.Errorf("%s.%s is missing", key, name))
		}
	}
	if !slices.Contains([]string{"", "disable", "require", "verify-ca", "verify-full"}, d.SSLMode) {
		faults = append(faults, fmt.Errorf("%s.sslmode: %q is none; use disable, require, verify-ca or verify-full", key, d.SSLMode))
	}
	if d.RootCert != "" && !filepath.IsAbs(d.RootCert) {
		faults = append(faults, fmt.Errorf("%s.root_cert: %q is not an absolute path", key, d.RootCert))
	}
	return errors.Join(faults...)
}

func (o ObjectStorage) validate() error {
	switch {
	case !slices.Contains([]string{"S3", "GCS", "blobstore"}, o.Backend):
		return fmt.Errorf("object_storage.backend: %q is none; use S3, GCS or blobstore", o.Backend)
	case o.Backend == "blobstore" && o.Endpoint == "":
		return errors.New("object_storage.endpoint is missing: a blobstore elsewhere has an address, such as http://10.0.0.7:9000")
	case o.Backend == "S3" && (o.AccessKeyID == "") != (o.SecretKeySecret == ""):
		return errors.New("object_storage needs both access_key_id and secret_access_key_secret, or neither for the role of the machine")
	case o.Backend == "GCS" && o.Project == "":
		return errors.New("object_storage.project is missing")
	}
	return nil
}

// namedDatabase is one of the three, by its key and the prefix of its variables.
type namedDatabase struct {
	key, prefix, bundled string
	db                   *Database
}

func (p ExternalPostgres) named() []namedDatabase {
	return []namedDatabase{
		{"frontend", "", databaseFrontend, p.Frontend}, {"codeintel", "CODEINTEL_", databaseCodeIntel, p.CodeIntel},
		{"codeinsights", "CODEINSIGHTS_", databaseCodeInsights, p.CodeInsights},
	}
}

// whole reports that nothing is left for the bundled server.
func (p ExternalPostgres) whole() bool {
	return p.Frontend != nil && p.CodeIntel != nil && p.CodeInsights != nil
}

func (p ExternalPostgres) any() bool {
	return p.Frontend != nil || p.CodeIntel != nil || p.CodeInsights != nil
}
