package elsewhere

import (
	"cmp"
	"context"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sourcegraph/appliance/services"
)

// maxAnswer bounds what is read of an answer, in bytes; a bucket's list of one entry has less than a thousand.
const maxAnswer = 64 << 10

// checkStorage asks for the bucket's list as Sourcegraph's own clean-up does; with a bucket for each feature, whose names are Sourcegraph's, for the
// list of buckets. Without a key nothing can be asked that is not refused by right: then any answer of HTTP is one.
// src: sourcegraph-public-snapshot: internal/object/s3_client.go (ListObjectsV2)
func checkStorage(ctx context.Context, o services.ObjectStorage, secrets map[string]string) error {
	if o.Backend == "GCS" {
		return checkServiceAccount(o, secrets[o.KeySecret])
	}
	s := storage{o, "object storage at " + o.Endpoint}
	if o.Bucket != "" {
		s.where += ", bucket " + o.Bucket
	}
	address, err := s.address()
	if err != nil {
		return &Fault{s.where, "the endpoint is no address: " + err.Error(), "correct object_storage.endpoint"}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return &Fault{s.where, "the endpoint is no address: " + err.Error(), "correct object_storage.endpoint"}
	}
	signed := o.AccessKeyID != ""
	if signed {
		sign(request, o.AccessKeyID, secrets[o.SecretKeySecret], cmp.Or(o.Region, "us-east-1"), time.Now())
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return s.unreached(ctx, err)
	}
	defer response.Body.Close()
	if !signed {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return &Fault{s.where, reason(ctx, err), "see its own log"}
	}
	if f := s.judge(response.StatusCode, body); f != nil {
		f.Where = s.where
		return f
	}
	return nil
}

// storage is one question to an S3 server.
type storage struct {
	services.ObjectStorage
	where string
}

// address is the bucket's, as Sourcegraph's client makes it: below the endpoint's host unless its path is asked for, or TLS knows no such name.
// src: aws-sdk-go-v2: service/s3/internal/customizations/update_endpoint.go; sourcegraph-public-snapshot: internal/object/config.go (blobstore)
func (s storage) address() (*url.URL, error) {
	u, err := url.Parse(s.Endpoint)
	if err != nil {
		return nil, err
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/"
	if s.Bucket == "" {
		return u, nil
	}
	if s.inPath() || u.Scheme == "https" && strings.Contains(s.Bucket, ".") {
		u.Path += s.Bucket
	} else {
		u.Host = s.Bucket + "." + u.Host
	}
	u.RawQuery = "list-type=2&max-keys=1"
	return u, nil
}

func (s storage) inPath() bool { return s.PathStyle || s.Backend == "blobstore" }

// unreached tells a server that is away from a bucket whose host nobody knows.
func (s storage) unreached(ctx context.Context, err error) error {
	var dns *net.DNSError
	if errors.As(err, &dns) && s.Bucket != "" && strings.HasPrefix(dns.Name, s.Bucket+".") {
		return &Fault{s.where, reason(ctx, err), "if the server takes the bucket as part of the path: object_storage.path_style: true"}
	}
	return &Fault{s.where, reason(ctx, err), "see that it runs and that this machine may reach it: curl -v " + s.Endpoint}
}

// checkServiceAccount sees whether a secret is the key of a service account. The cloud itself is not asked: it may be reachable for the services alone,
// through the site's proxy. src: Google Cloud: "Create and delete service account keys"
func checkServiceAccount(o services.ObjectStorage, secret string) error {
	var key struct {
		Type        string
		ClientEmail string `json:"client_email"`
		PrivateKey  string `json:"private_key"`
	}
	what := ""
	if err := json.Unmarshal([]byte(secret), &key); err != nil {
		what = "the secret " + o.KeySecret + " is no JSON"
	} else if block, _ := pem.Decode([]byte(key.PrivateKey)); block == nil || key.Type != "service_account" || key.ClientEmail == "" {
		what = "the secret " + o.KeySecret + " is no key of a service account"
	}
	if what == "" {
		return nil
	}
	return &Fault{"object storage at Google Cloud, bucket " + o.Bucket, what, "write the file as the cloud gave it, with type, client_email and private_key, into the secret " + o.KeySecret + ", then reload"}
}

// answer is what S3 says: an error, or a list, by its element. src: AWS: "Amazon S3 API Reference", "Error responses"
type answer struct {
	XMLName xml.Name
	Code    string
	Message string
	Region  string
}

// judge is what is wrong with an answer to a signed question; nil when all is well.
func (s storage) judge(status int, body []byte) *Fault {
	var a answer
	if err := xml.Unmarshal(body, &a); err != nil || status/100 == 2 && !strings.HasPrefix(a.XMLName.Local, "List") {
		return &Fault{What: fmt.Sprintf("it does not speak S3: it answers %d", status), Remedy: "correct object_storage.endpoint: it is the server's own address, without the bucket"}
	}
	if status/100 == 2 {
		return nil
	}
	switch a.Code {
	case "InvalidAccessKeyId":
		return &Fault{What: "it knows no access key " + s.AccessKeyID, Remedy: "correct object_storage.access_key_id"}
	case "SignatureDoesNotMatch":
		return &Fault{What: "the secret key of " + s.AccessKeyID + " is wrong", Remedy: "write the right one into the secret " + s.SecretKeySecret + ", then reload"}
	case "RequestTimeTooSkewed":
		return &Fault{What: "its clock and this machine's differ by more than it allows", Remedy: "set the clock: timedatectl set-ntp true"}
	case "NoSuchBucket":
		if s.ManageBucket || s.Backend == "blobstore" {
			return nil // Sourcegraph makes it
		}
		return &Fault{What: "there is no such bucket", Remedy: "make it there, or correct object_storage.bucket, or let Sourcegraph make it: manage_bucket: true"}
	case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
		return &Fault{What: "the bucket is in another region: " + cmp.Or(a.Region, a.Message), Remedy: "correct object_storage.region, and the endpoint with it"}
	case "AccessDenied":
		if s.Bucket == "" {
			return nil // the list of all buckets is more than it needs
		}
		return &Fault{What: s.AccessKeyID + " may not list the bucket, or it is somebody else's", Remedy: "allow it to list the bucket and to get, put and delete its objects, or correct object_storage.bucket"}
	}
	return &Fault{What: fmt.Sprintf("it answers %d %s: %s", status, a.Code, a.Message), Remedy: "see its own log"}
}
