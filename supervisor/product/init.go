package product

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxPage bounds what is read of a page, in bytes: Sourcegraph's are some tens of kilobytes.
const maxPage = 4 << 20

// Credentials make the first administrator.
type Credentials struct {
	Email    string `json:"email"`
	Username string `json:"username"`
	Password string `json:"password"`
}

// Init makes the first administrator as the product's page does, through the frontend that listens on address. Others cannot do so afterwards.
// src: sourcegraph: internal/gqltestutil/client.go (SiteAdminInit)
func Init(ctx context.Context, address string, c Credentials) error {
	client := &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil},
		CheckRedirect: sameHost,
	}
	token, cookies, err := csrf(ctx, client, address)
	if err != nil {
		return err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/-/site-init", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask frontend at %s: %w", address, err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Requested-With", "Sourcegraph")
	if token != "" {
		request.Header.Set("X-Csrf-Token", token)
	}
	for _, cookie := range cookies {
		request.AddCookie(cookie)
	}
	response, err := client.Do(request)
	if err != nil {
		return away(address, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1000))
	if err != nil {
		return away(address, err)
	}
	if response.StatusCode != http.StatusOK {
		return &Refusal{codeRefused, "the product refuses: " + strings.TrimSpace(string(answer)), "correct what it names"}
	}
	return nil
}

// csrf gets what a form needs in old releases. src: sourcegraph: internal/gqltestutil/client.go (extractCSRFToken)
func csrf(ctx context.Context, client *http.Client, address string) (string, []*http.Cookie, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return "", nil, fmt.Errorf("ask frontend at %s: %w", address, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", nil, away(address, err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(io.LimitReader(response.Body, maxPage))
	if err != nil {
		return "", nil, away(address, err)
	}
	_, after, _ := strings.Cut(string(page), `X-Csrf-Token":"`)
	token, _, found := strings.Cut(after, `"`)
	if !found {
		token = ""
	}
	return token, response.Cookies(), nil
}

// sameHost follows no redirect to the product's external URL.
func sameHost(next *http.Request, via []*http.Request) error {
	if len(via) > 5 || next.URL.Host != via[0].URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

func away(address string, err error) error {
	return &Refusal{codeNotRight, fmt.Sprintf("frontend at %s does not answer: %v", address, err), "see: sourcegraph why frontend"}
}
