package frontend

import (
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
)

type commitResolver struct {
	repo *repoResolver
	oid  string
	rev  string // as asked for
}

func (c *commitResolver) OID() scalar               { return scalar(c.oid) }
func (c *commitResolver) AbbreviatedOID() string    { return c.oid[:min(7, len(c.oid))] }
func (c *commitResolver) URL() string               { return repoURL(c.repo.r.Name, c.rev) }
func (c *commitResolver) Repository() *repoResolver { return c.repo }

// File finds a file of the commit; nil if there is none.
func (c *commitResolver) File(ctx context.Context, args struct{ Path string }) (*blobResolver, error) {
	return c.Blob(ctx, args)
}

// Blob is File.
func (c *commitResolver) Blob(ctx context.Context, args struct{ Path string }) (*blobResolver, error) {
	file := strings.Trim(args.Path, "/")
	body, _, err := c.repo.s.git.ReadFile(ctx, c.repo.r.Name, c.oid, file)
	if errors.Is(err, gitserver.ErrFileNotFound) || errors.Is(err, gitserver.ErrInvalid) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	body.Close()
	return &blobResolver{c, file}, nil
}

type blobResolver struct {
	commit *commitResolver
	path   string // bytes as git has them
}

func (b *blobResolver) Path() string      { return text(b.path) }
func (b *blobResolver) Name() string      { return text(path.Base(b.path)) }
func (b *blobResolver) IsDirectory() bool { return false }
func (b *blobResolver) URL() string       { return blobURL(b.commit.repo.r.Name, b.commit.rev, b.path) }
func (b *blobResolver) CanonicalURL() string {
	return blobURL(b.commit.repo.r.Name, b.commit.oid, b.path)
}
func (b *blobResolver) Commit() *commitResolver   { return b.commit }
func (b *blobResolver) Repository() *repoResolver { return b.commit.repo }

// ByteSize is the length of the content.
func (b *blobResolver) ByteSize(ctx context.Context) (int32, error) {
	body, size, err := b.open(ctx)
	if err != nil {
		return 0, err
	}
	body.Close()
	return int32(size), nil
}

// Content is the text of the file, up to the size that the page shows; empty for a binary file.
func (b *blobResolver) Content(ctx context.Context) (string, error) {
	body, _, err := b.open(ctx)
	if err != nil {
		return "", err
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, viewMax))
	if err != nil || isBinary(content) {
		return "", err
	}
	return text(string(content)), nil
}

// Binary says whether the file is no text.
func (b *blobResolver) Binary(ctx context.Context) (bool, error) {
	body, _, err := b.open(ctx)
	if err != nil {
		return false, err
	}
	defer body.Close()
	head, err := io.ReadAll(io.LimitReader(body, 8000))
	return isBinary(head), err
}

func (b *blobResolver) open(ctx context.Context) (io.ReadCloser, int64, error) {
	return b.commit.repo.s.git.ReadFile(ctx, b.commit.repo.r.Name, b.commit.oid, b.path)
}
