package elsewhere

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

// TestEveryFaultOfAnObjectStorageIsNamed asks a real implementation of S3 that checks signatures.
func TestEveryFaultOfAnObjectStorageIsNamed(t *testing.T) {
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket(t.Context(), "uploads"))
	server := httptest.NewServer(gofakes3.New(backend, gofakes3.WithV4Auth(map[string]string{"AKID": secrets()["pg"]})).Server())
	defer server.Close()
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html><body>a page</body></html>"))
	}))
	defer page.Close()
	for name, tc := range map[string]struct {
		change func(o *services.ObjectStorage)
		want   string // empty: nothing is wrong
	}{
		"fine":                    {func(*services.ObjectStorage) {}, ""},
		"a bucket for each":       {func(o *services.ObjectStorage) { o.Bucket = "" }, ""},
		"another region":          {func(o *services.ObjectStorage) { o.Region = "eu-west-1" }, ""},
		"wrong bucket":            {func(o *services.ObjectStorage) { o.Bucket = "nope" }, "bucket nope: there is no such bucket"},
		"made by Sourcegraph":     {func(o *services.ObjectStorage) { o.Bucket, o.ManageBucket = "nope", true }, ""},
		"made in a blobstore":     {func(o *services.ObjectStorage) { o.Bucket, o.Backend, o.PathStyle = "nope", "blobstore", false }, ""},
		"wrong key":               {func(o *services.ObjectStorage) { o.AccessKeyID = "NOBODY" }, "it knows no access key NOBODY"},
		"wrong secret":            {func(o *services.ObjectStorage) { o.SecretKeySecret = "typo" }, "the secret key of AKID is wrong"},
		"wrong secret, no bucket": {func(o *services.ObjectStorage) { o.SecretKeySecret, o.Bucket = "typo", "" }, "the secret key of AKID is wrong"},
		"nothing listens":         {func(o *services.ObjectStorage) { o.Endpoint = "http://127.0.0.1:" + strconv.Itoa(freePort(t)) }, "connection refused"},
		"no such host":            {func(o *services.ObjectStorage) { o.Endpoint = "http://no-such-host.invalid:9000" }, `there is no host "no-such-host.invalid"`},
		"no S3":                   {func(o *services.ObjectStorage) { o.Endpoint = page.URL }, "it does not speak S3: it answers 200"},
		"role of the machine":     {func(o *services.ObjectStorage) { o.AccessKeyID, o.SecretKeySecret = "", "" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := services.ObjectStorage{Backend: "S3", Endpoint: server.URL, Bucket: "uploads", AccessKeyID: "AKID", SecretKeySecret: "pg", PathStyle: true}
			tc.change(&o)
			err := check(t, services.Probe{Storage: &o})
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			requireFault(t, err, tc.want)
			require.ErrorContains(t, err, "object storage at "+o.Endpoint)
		})
	}
	t.Run("the bucket's host is unknown", func(t *testing.T) {
		err := check(t, services.Probe{Storage: &services.ObjectStorage{Backend: "S3", Endpoint: "http://s3.invalid:9000", Bucket: "uploads", AccessKeyID: "AKID", SecretKeySecret: "pg"}})
		requireFault(t, err, `there is no host "uploads.s3.invalid"`)
		require.Contains(t, err.(*Fault).Hint(), "path_style: true")
	})
}

// TestWhatS3AnswersIsUnderstood: what the cloud says and the implementation above does not. src: AWS: "Amazon S3 API Reference", "Error responses"
func TestWhatS3AnswersIsUnderstood(t *testing.T) {
	s := storage{ObjectStorage: services.ObjectStorage{Backend: "S3", Bucket: "uploads", AccessKeyID: "AKID"}}
	for code, want := range map[string]string{
		"AccessDenied":                 "AKID may not list the bucket, or it is somebody else's",
		"RequestTimeTooSkewed":         "its clock and this machine's differ",
		"AuthorizationHeaderMalformed": "the bucket is in another region: eu-central-1",
		"PermanentRedirect":            "the bucket is in another region: eu-central-1",
		"SlowDown":                     "it answers 403 SlowDown: m",
	} {
		f := s.judge(http.StatusForbidden, []byte("<?xml version=\"1.0\"?><Error><Code>"+code+"</Code><Message>m</Message><Region>eu-central-1</Region></Error>"))
		require.NotNil(t, f, code)
		require.Contains(t, f.What, want)
		require.NotEmpty(t, f.Hint())
	}
	s.Bucket = ""
	require.Nil(t, s.judge(http.StatusForbidden, []byte("<Error><Code>AccessDenied</Code></Error>")), "the list of all buckets is more than it needs")
	require.NotNil(t, s.judge(http.StatusBadGateway, []byte("Bad Gateway")))
}

// TestAddressOfABucket: where Sourcegraph's client would look for it.
func TestAddressOfABucket(t *testing.T) {
	for want, o := range map[string]services.ObjectStorage{
		"https://uploads.s3.eu-west-1.amazonaws.com/?list-type=2&max-keys=1": {Endpoint: "https://s3.eu-west-1.amazonaws.com", Bucket: "uploads"},
		"https://s3.example.com/a.b?list-type=2&max-keys=1":                  {Endpoint: "https://s3.example.com/", Bucket: "a.b"},
		"http://a.b.s3.example.com/?list-type=2&max-keys=1":                  {Endpoint: "http://s3.example.com", Bucket: "a.b"},
		"http://10.0.0.7:9000/uploads?list-type=2&max-keys=1":                {Endpoint: "http://10.0.0.7:9000", Bucket: "uploads", PathStyle: true},
		"http://10.0.0.8:9000/uploads?list-type=2&max-keys=1":                {Endpoint: "http://10.0.0.8:9000", Bucket: "uploads", Backend: "blobstore"},
		"http://10.0.0.9:9000/":                                              {Endpoint: "http://10.0.0.9:9000"},
	} {
		got, err := storage{ObjectStorage: o}.address()
		require.NoError(t, err)
		require.Equal(t, want, got.String())
	}
}

// TestSignature holds the documented example. src: AWS: "Signature Calculations for the Authorization Header", "Example: GET Bucket (List Objects)"
func TestSignature(t *testing.T) {
	r, err := http.NewRequest(http.MethodGet, "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", nil)
	require.NoError(t, err)
	sign(r, "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC))
	require.Contains(t, r.Header.Get("Authorization"), "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
}

func TestKeyOfAServiceAccount(t *testing.T) {
	o := services.ObjectStorage{Backend: "GCS", Bucket: "uploads", Project: "p", KeySecret: "gcs"}
	key := func(change func(map[string]string)) string {
		fields := map[string]string{
			"type": "service_account", "client_email": "sg@p.iam.gserviceaccount.com", "private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		}
		change(fields)
		var b bytes.Buffer
		require.NoError(t, json.NewEncoder(&b).Encode(fields))
		return b.String()
	}
	ask := func(secret string) error {
		return Check(t.Context(), services.Probe{Storage: &o}, map[string]string{"gcs": secret})
	}
	require.NoError(t, ask(key(func(map[string]string) {})))
	requireFault(t, ask("/etc/key.json"), "the secret gcs is no JSON")
	for name, change := range map[string]func(map[string]string){
		"a user's": func(f map[string]string) { f["type"] = "authorized_user" }, "nobody's": func(f map[string]string) { delete(f, "client_email") },
		"cut off": func(f map[string]string) { f["private_key"] = "-----BEGIN PRIVATE KEY-----\nAA" },
	} {
		t.Run(name, func(t *testing.T) { requireFault(t, ask(key(change)), "the secret gcs is no key of a service account") })
	}
}
