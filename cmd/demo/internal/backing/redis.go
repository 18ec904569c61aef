package backing

import (
	"context"
	"os/exec"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// StartRedis starts a server on a unix socket, without a password, and gives its URL. It skips the test where Redis is not installed.
func StartRedis(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server in PATH")
	}
	dir := directory(t)
	cmd := as(exec.Command(path, "--port", "0", "--unixsocket", dir+"/redis.sock", "--unixsocketperm", "777", "--save", "", "--dir", dir))
	end := start(t, cmd)
	t.Cleanup(func() { stop(t, cmd, end, syscall.SIGTERM) })
	url := "unix://" + dir + "/redis.sock"
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	eventually(t, "Redis answers", func() error { return client.Ping(context.Background()).Err() })
	return url
}
