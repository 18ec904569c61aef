package gitserver

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
)

// gitPath is where clones can be cloned from, by git's "smart" protocol over HTTP in its first version, which git-upload-pack speaks on its own:
// GET /git/NAME/info/refs, then POST /git/NAME/git-upload-pack. It is for other gitservers; Sourcegraph's has the same path.
const gitPath = "/git/"

// packRequestMax bounds what a client may ask for in one request: a line of 50 bytes for each ref.
const packRequestMax = 64 << 20

// serveRefs tells what there is.
func (s *Store) serveRefs(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, gitPath), "/info/refs")
	if !ok || r.URL.Query().Get("service") != "git-upload-pack" {
		refuse(w, &Error{Code: ErrFileNotFound, Text: r.URL.Path + " is none of git's; only git-upload-pack is served"})
		return
	}
	stream(w, "application/x-git-upload-pack-advertisement", func(w io.Writer) error {
		var out bytes.Buffer
		out.WriteString("001e# service=git-upload-pack\n0000")
		if err := s.uploadPack(r, name, nil, &out, "--advertise-refs"); err != nil {
			return err
		}
		_, err := w.Write(out.Bytes())
		return err
	})
}

// servePack sends the objects that were asked for.
func (s *Store) servePack(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, gitPath), "/git-upload-pack")
	if !ok {
		refuse(w, &Error{Code: ErrFileNotFound, Text: r.URL.Path + " is none of git's; only git-upload-pack is served"})
		return
	}
	wanted, err := unpacked(r)
	if err != nil {
		refuse(w, invalid("read what git wants of %s: %v", name, err))
		return
	}
	stream(w, "application/x-git-upload-pack-result", func(w io.Writer) error {
		return s.uploadPack(r, name, bytes.NewReader(wanted), w)
	})
}

func (s *Store) uploadPack(r *http.Request, name string, in io.Reader, out io.Writer, flags ...string) error {
	if err := checkName(name); err != nil {
		return err
	}
	args := append([]string{"upload-pack", "--strict", "--stateless-rpc"}, flags...)
	err := s.askLong(r.Context(), name, command{args: append(args, cloneDir(s.root, name)), stdin: in, stdout: out})
	if err == nil {
		return nil
	}
	return s.explain(r.Context(), "send "+name, name, err)
}

// unpacked is the body of a request, which git compresses when it is long.
func unpacked(r *http.Request) ([]byte, error) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		body = z
	}
	return io.ReadAll(io.LimitReader(body, packRequestMax))
}
