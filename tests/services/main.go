// A Go service on net/http: /item/ at once, /slow/ after 20 ms, /missing/ not at all, /upload/ counts a body, /front
// calls the backend twice over the default transport's pool, /fan three times at once, /apart once over a connection of
// its own. Writes its own access log.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func appendTo(variable string) *os.File {
	file, err := os.OpenFile(os.Getenv(variable), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		log.Fatal(err)
	}
	return file
}

var (
	accessLog = appendTo("ACCESS_LOG")
	truth     = appendTo("TRUTH")
	pooled    = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
	unpooled  = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
)

func callBackend(client *http.Client, incoming string) int {
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return 500
	}
	outgoing := hex.EncodeToString(id[:])
	fmt.Fprintf(truth, "%s %s\n", incoming, outgoing)
	response, err := client.Get("http://" + os.Getenv("BACKEND") + "/b?truth=" + outgoing)
	if err != nil {
		return 502
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// Each call in a goroutine of its own.
func fanOut(incoming string) (int, string) {
	var all sync.WaitGroup
	var failed atomic.Int32
	for i := 0; i < 3; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			if callBackend(pooled, incoming) != 200 {
				failed.Add(1)
			}
		}()
	}
	all.Wait()
	if failed.Load() > 0 {
		return 502, "backend\n"
	}
	return 200, "ok\n"
}

func answer(r *http.Request) (int, string) {
	switch path := r.URL.Path; {
	case path == "/front":
		incoming := r.URL.Query().Get("truth")
		if callBackend(pooled, incoming) != 200 || callBackend(pooled, incoming) != 200 {
			return 502, "backend\n"
		}
	case path == "/apart":
		if callBackend(unpooled, r.URL.Query().Get("truth")) != 200 {
			return 502, "backend\n"
		}
	case path == "/fan":
		return fanOut(r.URL.Query().Get("truth"))
	case strings.HasPrefix(path, "/slow/"):
		time.Sleep(20 * time.Millisecond)
	case strings.HasPrefix(path, "/missing/"):
		return 404, "no\n"
	case strings.HasPrefix(path, "/upload/"):
		count, _ := io.Copy(io.Discard, r.Body)
		return 200, fmt.Sprintf("%d\n", count)
	}
	return 200, "ok\n"
}

func serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	status, body := answer(r)
	w.WriteHeader(status)
	io.WriteString(w, body)
	// The response leaves when the handler returns, or here.
	w.(http.Flusher).Flush()
	fmt.Fprintf(accessLog, "%s %s HTTP/1.1 %d %d\n", r.Method, r.RequestURI, status, time.Since(start).Nanoseconds())
}

func main() {
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(serve)))
}
