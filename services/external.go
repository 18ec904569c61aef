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
// probed, and satisfies what needs it.
type External struct {
	Postgres      ExternalPostgres
	Redis         ExternalRedis
	ObjectStorage *ObjectStorage
}

// ExternalPostgres are the databases that lie elsewhere; the bundled server holds the others, if any.
type ExternalPostgres struct{ Frontend, CodeIntel, CodeInsights *Database }

// ExternalRedis are the servers that run elsewhere. Both may be the same one, at the cost of the split: a cache may forget, the store may not.
type ExternalRedis struct{ Cache, Store *RedisServer }

// Database is one database of a PostgreSQL server elsewhere.
type Database struct {
	Host           string // name or address
	Port           int    // 0: 5432
	User           string
	PasswordSecret string // name of a secret; empty: none is asked for
	Name           string
	SSLMode        string   // of libpq: disable, require, verify-ca, verify-full; empty: require
	RootCert       string   // absolute path of the certificates that verify-* trusts; empty: the system's
	Extensions     []string // that it must offer; filled by the wiring
	MinMajor       int      // oldest version that this release can use; filled by the wiring
}

// RedisServer is a Redis server elsewhere, of version 6.2 at least; cluster and sentinel are not supported.
// src: sourcegraph/docs: self-hosted/external-services/redis
type RedisServer struct {
	Host           string
	Port           int // 0: 6379
	User           string
	PasswordSecret string // name of a secret; empty: none is asked for
	Database       int
	TLS            bool
}

// ObjectStorage is a bucket elsewhere.
// src: sourcegraph/docs: self-hosted/external-services/object-storage; sourcegraph/deploy-sourcegraph-docker: README (SOURCEGRAPH_UPLOAD_*)
type ObjectStorage struct {
	Backend         string // S3, GCS or blobstore (an S3 server without authentication)
	Endpoint        string // http or https URL; empty: the cloud's own
	Region          string // S3; empty: us-east-1
	Bucket          string // empty: one for each feature, with Sourcegraph's names
	AccessKeyID     string // S3; empty: the role of the machine
	SecretKeySecret string // S3: name of the secret that holds the secret access key
	PathStyle       bool   // the bucket is part of the path, not of the host's name
	ManageBucket    bool   // Sourcegraph makes the bucket and its rules
	Project         string // GCS
	KeySecret       string // GCS: name of the secret that holds the JSON of a service account's key
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
