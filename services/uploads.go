package services

// uploads are the variants of a service that stores what users or jobs upload. Each feature has a family of variables of its own; in the bundled
// store they all lead to the same server.
// src: sourcegraph/docs: self-hosted/external-services/object-storage; sourcegraph: enterprise/internal/codeintel/stores/lsifuploadstore/config.go @3.38
func uploads(features ...upload) []Variant {
	var out []Variant
	for _, f := range features {
		for _, v := range f {
			env := map[string]string{
				v.prefix + "BACKEND":      v.store,
				v.prefix + "AWS_ENDPOINT": `{{ .PeerURL "` + v.store + `" "http" }}`,
			}
			if v.store == "minio" { // blobstore asks for no key
				env[v.prefix+"AWS_ACCESS_KEY_ID"], env[v.prefix+"AWS_SECRET_ACCESS_KEY"] = sourcegraph, "{{ .Secret.minio }}"
			}
			out = append(out, Variant{In: v.in, Why: "where " + v.what + " lies. src: " + v.source, Beside: Beside{v.store: env}})
		}
	}
	return out
}

// upload is one feature's family of variables, by range of versions.
type upload []struct {
	in                          []Releases
	prefix, store, what, source string // store is a service, and the backend's name
}

// indexUploads are precise indexes. MinIO was replaced in 4.2.1; from then on its name for a backend means the same.
func indexUploads() upload {
	return upload{
		{between("3.38", "4.2.1"), "PRECISE_CODE_INTEL_UPLOAD_", "minio", "an uploaded index", "sourcegraph: enterprise/internal/codeintel/stores/lsifuploadstore/config.go @3.38"},
		{between("4.2.1", ""), "PRECISE_CODE_INTEL_UPLOAD_", "blobstore", "an uploaded index", "sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v5.2.7"},
	}
}

// searchJobs are the results of search jobs.
func searchJobs() upload {
	return upload{{between("5.2", ""), "SEARCH_JOBS_UPLOAD_", "blobstore", "the result of a search job", "sourcegraph/docs: self-hosted/external-services/object-storage"}}
}

// embeddingUploads are embedding indexes.
func embeddingUploads() upload {
	return upload{{between("5.0.3", "5.7"), "EMBEDDINGS_UPLOAD_", "blobstore", "an embedding index", "sourcegraph-public-snapshot: cmd/embeddings/shared/config.go"}}
}

// sharedUploads is the one bucket of all features since.
func sharedUploads() upload {
	return upload{{between("7.2", ""), "SOURCEGRAPH_UPLOAD_", "blobstore", "what newer features upload", "sourcegraph/docs: self-hosted/external-services/object-storage"}}
}
