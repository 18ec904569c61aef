package services

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// TestMain looks, after all tests, whether one of them has changed the definitions that all plans share.
func TestMain(m *testing.M) {
	code := m.Run()
	now, err := json.Marshal(builtIn())
	if err != nil {
		panic(err)
	}
	fresh, err := json.Marshal(define())
	if err != nil {
		panic(err)
	}
	if string(now) != string(fresh) {
		fmt.Printf("a plan has changed the definitions themselves:\n%s\nthey were:\n%s\n", now, fresh)
		code = 1
	}
	os.Exit(code)
}
