package services

// PostgresMajor is the oldest major version of PostgreSQL that a release runs on.
//
// 12 from 3.27 on, 16 from 6.0 on: older ones are refused by the services, each with one line before it exits.
// src: sourcegraph/docs: self-hosted/postgres, technical-changelog 6.0.0
func PostgresMajor(product, version string) int {
	if product == sourcegraph && CompareVersions(version, "6.0") >= 0 {
		return 16
	}
	return 12
}

// Extensions are those that a release's migrations create, in any of the three databases. The demo's create none.
// src: sourcegraph/docs: self-hosted/postgres, self-hosted/external-services/postgres; vector only where the last public migrations lack it (inferred)
func Extensions(product, version string) []string {
	if product != sourcegraph {
		return nil
	}
	list := []string{"citext", "hstore", "intarray", "pg_stat_statements", "pg_trgm", "pgcrypto"}
	if CompareVersions(version, "6.0") >= 0 {
		list = append(list, "vector")
	}
	return list
}
