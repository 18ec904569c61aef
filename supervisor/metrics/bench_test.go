package metrics

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
)

// BenchmarkScrape is one scrape of 31 instances, without what the supervisor reads for it.
func BenchmarkScrape(b *testing.B) {
	s := full()
	for i := range 30 {
		one := s.Instances[0]
		one.Service = "service" + strconv.Itoa(i)
		s.Instances = append(s.Instances, one)
	}
	h := Handler(fixed{s})
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}
