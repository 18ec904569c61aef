package elsewhere

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// sign gives a request without a body its AWS Signature Version 4 for S3.
// src: AWS: "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk"
func sign(r *http.Request, keyID, secret, region string, now time.Time) {
	const signed = "host;x-amz-content-sha256;x-amz-date"
	at := now.UTC().Format("20060102T150405Z")
	scope := strings.Join([]string{at[:8], region, "s3", "aws4_request"}, "/")
	nothing := digest("")
	canonical := strings.Join([]string{
		r.Method, cmp.Or(r.URL.EscapedPath(), "/"), r.URL.Query().Encode(),
		"host:" + r.URL.Host, "x-amz-content-sha256:" + nothing, "x-amz-date:" + at, "", signed, nothing,
	}, "\n")
	key := []byte("AWS4" + secret)
	for word := range strings.SplitSeq(scope, "/") {
		key = mac(key, word)
	}
	signature := hex.EncodeToString(mac(key, "AWS4-HMAC-SHA256\n"+at+"\n"+scope+"\n"+digest(canonical)))
	r.Header.Set("X-Amz-Date", at)
	r.Header.Set("X-Amz-Content-Sha256", nothing)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+keyID+"/"+scope+",SignedHeaders="+signed+",Signature="+signature)
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
