package door

import (
	"net/http"
	"path"
	"strings"
)

const (
	setupCookie = "appliance_setup"
	setupHeader = "X-Appliance-Setup"
)

// makesAdmin finds requests that could make the first user, who becomes the administrator, however the path is spelled.
func makesAdmin(r *http.Request) bool {
	if safeMethod(r.Method) {
		return false
	}
	p := strings.ToLower(path.Clean("/" + r.URL.Path))
	return strings.HasSuffix(p, "/-/site-init") || strings.HasSuffix(p, "/-/sign-up")
}

func carriesToken(r *http.Request, v *view) bool {
	if v.knowsToken(r.Header.Get(setupHeader)) {
		return true
	}
	for _, c := range r.CookiesNamed(setupCookie) {
		if v.knowsToken(c.Value) {
			return true
		}
	}
	return false
}

// serveSetup takes the one-time URL that `run` and `status` show.
func serveSetup(w http.ResponseWriter, r *http.Request, v *view) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	if v.SetupToken != "" {
		token := r.URL.Query().Get("token")
		if !v.knowsToken(token) {
			refuseSetup(w, r)
			return
		}
		http.SetCookie(w, &http.Cookie{
			Name: setupCookie, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
			Secure: peerOf(r).tls || strings.HasPrefix(v.ExternalURL, "https:") && v.trusts(peerOf(r).addr),
		})
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func refuseSetup(w http.ResponseWriter, r *http.Request) {
	const reason = "The first administrator can be made only through the one-time setup URL."
	const remedy = "On the machine of the appliance, type: sourcegraph status. It shows the setup URL; open it in this browser."
	if wantsHTML(r) {
		writePage(w, r, http.StatusForbidden, page{Title: "Setup URL needed", Lead: reason, More: remedy})
		return
	}
	writeJSON(w, http.StatusForbidden, fault{Error: reason, Remedy: remedy})
}
