package services

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// besidePostgres is the instance that stands for databases elsewhere while the bundled server holds others.
const besidePostgres = "postgres-external"

// apply puts what runs elsewhere in the place of what is bundled, and tells everybody.
func (x External) apply(defs []Definition, product, version string) []Definition {
	var out []Definition
	for _, d := range defs {
		d = x.rewire(d)
		switch {
		case d.Name == "postgres" && x.Postgres.any():
			if x.Postgres.whole() {
				out = append(out, x.databases(d, product, version))
				continue
			}
			other := d
			other.Name = besidePostgres
			out = append(out, d, x.databases(other, product, version))
			continue
		case d.Name == "redis-cache" && x.Redis.Cache != nil:
			d = elsewhere(d, &Probe{RedisServer: x.Redis.Cache})
		case d.Name == "redis-store" && x.Redis.Store != nil:
			d = elsewhere(d, &Probe{RedisServer: x.Redis.Store})
		case (d.Name == "blobstore" || d.Name == "minio") && x.ObjectStorage != nil:
			d = elsewhere(d, x.ObjectStorage.probe())
		}
		out = append(out, d)
	}
	return out
}

// Replaces reports whether something elsewhere stands for the bundled service.
func (x External) Replaces(service string) bool {
	switch service {
	case "postgres":
		return x.Postgres.whole()
	case "redis-cache":
		return x.Redis.Cache != nil
	case "redis-store":
		return x.Redis.Store != nil
	case "blobstore", "minio":
		return x.ObjectStorage != nil
	}
	return false
}

// elsewhere is a definition of what only has to be reached.
func elsewhere(d Definition, ready *Probe) Definition {
	d.Kind = KindExternal
	d.Spare, d.Optional = false, ""
	d.Command, d.Host, d.Env, d.Ports, d.Needs, d.Wants, d.Prepare, d.Files, d.Data, d.Metrics = nil, nil, nil, nil, nil, nil, nil, nil, nil, nil
	d.Demand, d.Budget = Demand{}, Budget{}
	d.Ready, d.Live = ready, nil
	d.Without = Without{Live: "it is not ours to kill", Metrics: "whoever runs it watches it"}
	if ready == nil {
		d.Without.Ready = "the cloud's own address may be reachable through the site's proxy only"
	} else {
		ready.Every, ready.Timeout, ready.Failures = 10*time.Second, 10*time.Second, 3
	}
	d.Start = Start{} // it may be away for as long as it likes
	d.Switch, d.Snapshot = SideBySide, SnapshotNever
	return d
}

// checkElsewhere refuses to say of a program that is not ours how it runs.
func checkElsewhere(d Definition, o Override) error {
	if d.Kind == KindExternal && (o.Command != nil || o.Args != nil || o.Env != nil || o.User != "" || o.Replicas != nil || o.Budget != nil) {
		return fmt.Errorf("services.%s: it runs elsewhere; how it runs is not said here", d.Name)
	}
	return nil
}

// databases stands for all databases elsewhere: it is ready when each can be used as Sourcegraph needs it.
func (x External) databases(d Definition, product, version string) Definition {
	var checked []Database
	for _, one := range x.Postgres.named() {
		if one.db == nil {
			continue
		}
		db := *one.db
		db.MinMajor, db.Extensions = PostgresMajor(product, version), Extensions(product, version)
		checked = append(checked, db)
	}
	return elsewhere(d, &Probe{Databases: checked})
}

// probe asks an address that the site names, and looks at a key that the cloud gave.
func (o ObjectStorage) probe() *Probe {
	if o.Endpoint == "" && o.KeySecret == "" {
		return nil
	}
	return &Probe{Storage: &o}
}

// rewire changes what a service is told about what runs elsewhere, and what it waits for.
func (x External) rewire(d Definition) Definition {
	d.Env = maps.Clone(d.Env)
	for _, one := range x.Postgres.named() {
		if one.db == nil {
			continue
		}
		if _, reads := d.Env[one.prefix+"PGHOST"]; reads {
			maps.Copy(d.Env, one.db.env(one.prefix))
		}
		if strings.HasSuffix(d.Env["DATA_SOURCE_URI"], "/"+one.bundled+"?sslmode=disable") {
			maps.Copy(d.Env, one.db.exporterEnv())
		}
	}
	x.rewireRedis(d)
	x.rewireUploads(&d)
	if x.Postgres.any() && !x.Postgres.whole() && slices.Contains(d.Needs, "postgres") {
		d.Needs = append(slices.Clone(d.Needs), besidePostgres)
	}
	return d
}

// env is one family of libpq variables. src: sourcegraph: internal/database/postgresdsn @3.38; libpq: "Environment Variables"
func (d Database) env(prefix string) map[string]string {
	host, port := d.hostAndPort()
	env := map[string]string{
		prefix + "PGHOST": host, prefix + "PGPORT": port, prefix + "PGUSER": d.User, prefix + "PGDATABASE": d.Name,
		prefix + "PGSSLMODE": d.sslMode(), prefix + "PGPASSWORD": secretOrNothing(d.PasswordSecret),
	}
	if d.RootCert != "" {
		env["PGSSLROOTCERT"] = d.RootCert
	}
	return env
}

func (d Database) exporterEnv() map[string]string {
	query := url.Values{"sslmode": {d.sslMode()}}
	if d.RootCert != "" {
		query.Set("sslrootcert", d.RootCert)
	}
	return map[string]string{
		"DATA_SOURCE_URI": d.Address() + "/" + url.PathEscape(d.Name) + "?" + query.Encode(), "DATA_SOURCE_USER": d.User,
		"DATA_SOURCE_PASS": secretOrNothing(d.PasswordSecret),
	}
}

func (d Database) hostAndPort() (host, port string) {
	if d.Port == 0 {
		return d.Host, "5432"
	}
	return d.Host, strconv.Itoa(d.Port)
}

func (d Database) sslMode() string {
	if d.SSLMode == "" {
		return "require"
	}
	return d.SSLMode
}

func secretOrNothing(name string) string {
	if name == "" {
		return ""
	}
	return SecretRef(name)
}

func (x External) rewireRedis(d Definition) {
	for name, r := range map[string]*RedisServer{"REDIS_CACHE_ENDPOINT": x.Redis.Cache, "REDIS_STORE_ENDPOINT": x.Redis.Store} {
		if _, reads := d.Env[name]; reads && r != nil {
			d.Env[name] = r.url()
		}
	}
	for name, r := range map[string]*RedisServer{"redis-cache-exporter": x.Redis.Cache, "redis-store-exporter": x.Redis.Store} {
		if d.Name == name && r != nil {
			bare := *r
			bare.User, bare.PasswordSecret = "", ""
			d.Env["REDIS_ADDR"], d.Env["REDIS_USER"], d.Env["REDIS_PASSWORD"] = bare.url(), r.User, secretOrNothing(r.PasswordSecret)
		}
	}
}

// url is how Sourcegraph takes a server. src: sourcegraph: internal/redispool @3.38 (host:port, redis:// or rediss://)
func (r RedisServer) url() string {
	u := url.URL{Scheme: "redis", Host: r.Address()}
	if r.TLS {
		u.Scheme = "rediss"
	}
	if r.Database != 0 {
		u.Path = "/" + strconv.Itoa(r.Database)
	}
	if r.User == "" && r.PasswordSecret == "" {
		return u.String()
	}
	login := url.PathEscape(r.User) + ":"
	if r.PasswordSecret != "" {
		login += SecretURLRef(r.PasswordSecret)
	}
	return u.Scheme + "://" + login + "@" + strings.TrimPrefix(u.String(), u.Scheme+"://")
}

// rewireUploads gives each family of variables that the service has for the bundled store its values for the other.
func (x External) rewireUploads(d *Definition) {
	if x.ObjectStorage == nil {
		return
	}
	d.Beside = maps.Clone(d.Beside)
	for _, store := range []string{"minio", "blobstore"} {
		for name := range d.Beside[store] {
			if prefix, ok := strings.CutSuffix(name, "BACKEND"); ok {
				maps.Copy(d.Env, x.ObjectStorage.env(prefix, store))
			}
		}
		delete(d.Beside, store)
	}
}

// env is one family of variables. Before 4.2.1 the backend without a cloud is called minio. The address of S3 is always said: the default is the bundled store's.
// src: sourcegraph: enterprise/internal/codeintel/stores/lsifuploadstore/config.go @3.38
func (o ObjectStorage) env(prefix, bundled string) map[string]string {
	if o.Backend == "blobstore" {
		o.Backend = bundled
	}
	if o.Backend == "S3" && o.Endpoint == "" {
		o.Endpoint = "https://s3." + cmp.Or(o.Region, "us-east-1") + ".amazonaws.com"
	}
	env := map[string]string{prefix + "BACKEND": o.Backend, prefix + "MANAGE_BUCKET": strconv.FormatBool(o.ManageBucket)}
	more := map[string]string{"BUCKET": o.Bucket}
	if o.Backend == "GCS" {
		more["GCP_PROJECT_ID"] = o.Project
		more["GOOGLE_APPLICATION_CREDENTIALS_FILE_CONTENT"] = secretOrNothing(o.KeySecret)
	} else {
		more["AWS_ENDPOINT"], more["AWS_REGION"] = o.Endpoint, o.Region
		more["AWS_ACCESS_KEY_ID"], more["AWS_SECRET_ACCESS_KEY"] = o.AccessKeyID, secretOrNothing(o.SecretKeySecret)
		if o.PathStyle {
			more["AWS_USE_PATH_STYLE"] = "true"
		}
		if o.Backend == "S3" && o.AccessKeyID == "" {
			more["AWS_USE_EC2_ROLE_CREDENTIALS"] = "true"
		}
	}
	for name, value := range more {
		if value != "" {
			env[prefix+name] = value
		}
	}
	return env
}

// addressesElsewhere is where the instance is, for people to see; what is ours has its addresses from the machine.
func (d Definition) addressesElsewhere() map[string]string {
	out := map[string]string{}
	if d.Kind != KindExternal || d.Ready == nil {
		return out
	}
	for _, db := range d.Ready.Databases {
		out[db.Name] = db.Address()
	}
	if r := d.Ready.RedisServer; r != nil {
		out["redis"] = r.Address()
	}
	if s := d.Ready.Storage; s != nil && s.Endpoint != "" {
		out["http"] = s.Endpoint
	}
	return out
}
