package frontend

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/graph-gophers/graphql-go"
	"github.com/graph-gophers/graphql-go/relay"
)

//go:embed schema.graphql
var schemaText string

const (
	queryDepth    = 30
	queryParallel = 10
)

func newSchema(s *server) (*graphql.Schema, error) {
	schema, err := graphql.ParseSchema(schemaText, &resolver{s}, graphql.MaxDepth(queryDepth), graphql.MaxParallelism(queryParallel))
	if err != nil {
		return nil, fmt.Errorf("read the GraphQL schema: %w", err)
	}
	return schema, nil
}

// graphql answers POST /.api/graphql.
func (s *server) graphql(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Query         string         `json:"query"`
		OperationName string         `json:"operationName"`
		Variables     map[string]any `json:"variables"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax)).Decode(&request); err != nil {
		http.Error(w, "want JSON such as {\"query\": \"{ site { productVersion } }\"}: "+err.Error(), http.StatusBadRequest)
		return
	}
	response := s.schema.Exec(r.Context(), request.Query, request.OperationName, request.Variables)
	writeJSON(w, http.StatusOK, response)
}

// resolver answers the fields of Query and Mutation.
type resolver struct{ s *server }

var (
	errAdminOnly = errors.New("must be site admin")
	errNoNode    = errors.New("no such object")
)

// id makes the opaque ids that clients see.
func id(kind string, n int64) graphql.ID { return relay.MarshalID(kind, n) }

// rowID reads an id of the given kind back.
func rowID(gid graphql.ID, kind string) (int64, error) {
	var n int64
	if relay.UnmarshalKind(gid) != kind {
		return 0, fmt.Errorf("id %q is not one of a %s", gid, kind)
	}
	if err := relay.UnmarshalSpec(gid, &n); err != nil {
		return 0, fmt.Errorf("id %q: %w", gid, err)
	}
	return n, nil
}

// dateTime is the scalar DateTime.
type dateTime struct{ time.Time }

func (dateTime) ImplementsGraphQLType(name string) bool { return name == "DateTime" }

// UnmarshalGraphQL is here because the library asks scalars for it; no argument is a DateTime.
func (t *dateTime) UnmarshalGraphQL(input any) error {
	text, ok := input.(string)
	if !ok {
		return fmt.Errorf("DateTime: want text, got %T", input)
	}
	parsed, err := time.Parse(time.RFC3339, text)
	t.Time = parsed
	return err
}

func (t dateTime) MarshalJSON() ([]byte, error) { return json.Marshal(t.UTC().Format(time.RFC3339)) }

func optionalTime(t *time.Time) *dateTime {
	if t == nil {
		return nil
	}
	return &dateTime{*t}
}

// bigInt is the scalar BigInt: text, because JavaScript's numbers end at 2^53.
type bigInt int64

func (bigInt) ImplementsGraphQLType(name string) bool { return name == "BigInt" }

// UnmarshalGraphQL is here because the library asks scalars for it; no argument is a BigInt.
func (b *bigInt) UnmarshalGraphQL(input any) error {
	n, err := strconv.ParseInt(fmt.Sprint(input), 10, 64)
	*b = bigInt(n)
	return err
}

func (b bigInt) MarshalJSON() ([]byte, error) { return json.Marshal(strconv.FormatInt(int64(b), 10)) }

// scalar is any scalar that is text on both sides.
type scalar string

func (scalar) ImplementsGraphQLType(name string) bool {
	return name == "JSONCString" || name == "GitObjectID"
}

// UnmarshalGraphQL is here because the library asks scalars for it.
func (s *scalar) UnmarshalGraphQL(input any) error {
	text, ok := input.(string)
	if !ok {
		return fmt.Errorf("want text, got %T", input)
	}
	*s = scalar(text)
	return nil
}

// empty is EmptyResponse.
type empty struct{}

// AlwaysNil is the only field.
func (empty) AlwaysNil() *string { return nil }

// pageInfo is PageInfo; next is empty on the last page.
type pageInfo struct{ next string }

// EndCursor is what the next page begins after.
func (p pageInfo) EndCursor() *string {
	if p.next == "" {
		return nil
	}
	return &p.next
}

// HasNextPage says whether there is more.
func (p pageInfo) HasNextPage() bool { return p.next != "" }

// page cuts a list of n to first rows from the one after which the cursor stands.
func page(n int, first *int32, after *string) (from, to int, info pageInfo, err error) {
	if after != nil && *after != "" {
		if from, err = strconv.Atoi(*after); err != nil || from < 0 {
			return 0, 0, info, fmt.Errorf("after: %q is no cursor of this list", *after)
		}
	}
	from = min(from, n)
	to = n
	if first != nil {
		if *first < 0 {
			return 0, 0, info, fmt.Errorf("first: %d is below 0", *first)
		}
		to = min(n, from+int(*first))
	}
	if to < n {
		info.next = strconv.Itoa(to)
	}
	return from, to, info, nil
}
