package services

import "time"

// minio is the object storage before 4.2.1. Its data cannot be read by its successor: see [blobstore].
// src: sourcegraph: docker-images/minio/build.sh @3.38 (MinIO 2021-12-10), cmd/server/shared/minio.go @3.38;
// sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v3.38.0 (server /data, /minio/health/live, start_period 15s, 1 CPU, 1g)
func minio() Definition {
	return thirdParty(Definition{
		Name:     "minio",
		Releases: between("3.38", "4.2.1"),
		Spare:    true,
		Loss:     objectStorageLoss,
		Command:  []string{"minio", "server", "--quiet", "--address", "{{ .Address.http }}", "{{ .Data.minio }}"},
		Env: map[string]string{
			"MINIO_ROOT_USER":     minioUser,
			"MINIO_ROOT_PASSWORD": "{{ .Secret.minio }}",
			"MINIO_BROWSER":       "off", // else its console listens on all interfaces, at a random port. src: MinIO: minio server --help (--console-address)
			"MINIO_UPDATE":        "off", // else it asks the internet for a newer one
		},
		Ports:   []Port{{Name: "http", Number: 9000}},
		Data:    []Data{{Name: "minio", Path: "data/gen-{{ .Generation }}/minio", Class: DataState}},
		Ready:   readyHTTP("/minio/health/live", "http"),
		Live:    liveHTTP("/minio/health/live", "http"),
		Without: Without{Metrics: "they need a token of their own, and Sourcegraph scrapes none"},
		Stop:    plainStop(15 * time.Second),
		Log:     serviceLog("plain"),
		Budget:  Budget{Memory: 1 << 30, CPUWeight: 50, Pids: 512}, // memory: compose @v3.38.0

		Snapshot: SnapshotAlways,
	})
}

// minioUser is the access key of the bundled MinIO; its secret key is generated.
const minioUser = "sourcegraph"

const objectStorageLoss = "indexes for precise navigation cannot be uploaded, results of search jobs cannot be kept"
