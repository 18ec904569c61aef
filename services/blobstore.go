package services

import "time"

// blobstore is s3proxy on a directory: S3 without authentication, as shipped, which is why it listens on loopback only.
//
// Its program is s3proxy's executable jar, which needs a java on PATH; the image's shell script has absolute paths and does nothing but turn
// variables into these properties.
// src: sourcegraph-public-snapshot: docker-images/blobstore/BUILD.bazel; gaul/s3proxy: src/main/resources/run-docker-container.sh;
// sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453 (GET / is 200, start_period 15s, 1 CPU, 1g)
func blobstore() Definition {
	return thirdParty(Definition{
		Name:     "blobstore",
		Releases: from("4.2.1"),
		Spare:    true,
		Loss:     objectStorageLoss,
		Command:  []string{"s3proxy", "--properties", "{{ .Run }}/s3proxy.properties"},
		Env: map[string]string{
			"LOG_LEVEL": "info",
			// Half of the budget: buffers outside the heap take about as much. No file in /tmp for each start.
			"JDK_JAVA_OPTIONS": "-Xmx512m -XX:+ExitOnOutOfMemoryError -XX:-UsePerfData",
		},
		Ports:   []Port{{Name: "http", Number: 9000}},
		Files:   []File{{Path: "{{ .Run }}/s3proxy.properties", Mode: 0o600, Content: blobstoreConf}},
		Data:    []Data{{Name: "blobstore", Path: "data/gen-{{ .Generation }}/blobstore", Class: DataState}},
		Ready:   readyHTTP("/", "http"),
		Live:    liveHTTP("/", "http"),
		Without: Without{Metrics: "this version of s3proxy has none"},
		Stop:    plainStop(15 * time.Second),
		Log:     serviceLog("plain"),
		Budget:  Budget{Memory: 1 << 30, CPUWeight: 50, Pids: 512}, // memory: compose @v7.5.4453

		Snapshot: SnapshotAlways,
	})
}

// blobstoreConf has the image's values. src: sourcegraph-public-snapshot: docker-images/blobstore/BUILD.bazel
const blobstoreConf = `# Written by the appliance at each start
s3proxy.authorization=none
s3proxy.endpoint=http://{{ .Address.http }}
s3proxy.v4-max-non-chunked-request-size=33554432
jclouds.provider=filesystem
jclouds.identity=remote-identity
jclouds.credential=remote-credential
jclouds.regions=us-east-1
jclouds.filesystem.basedir={{ .Data.blobstore }}
`
