// Go's net/http: requests one after the other, and at once in goroutines. The harness builds it with and without symbols.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	mathrand "math/rand"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	wait   = "db"
	nobody = "-"
	// The call that sends a body, as the request does that asks for it.
	save = "save"
	body = `{"item": "0123456789abcdef0123456789abcdef", "count": 12}`
)

var (
	plans = map[string][][]string{
		"/front":  {{"b"}, {"c"}},
		"/other":  {{"c"}, {"d"}},
		"/fan":    {{"b", "c"}},
		"/repeat": {{"b"}, {"b"}, {"b"}},
		"/skip":   {{"b"}, {"c"}},
		"/db":     {{wait}, {"b"}},
		"/post":   {{save}, {"c"}},
	}
	truth    *os.File
	client   = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 512}}
	database = make(chan net.Conn, 512)
)

func call(incoming, name string) {
	if name == wait {
		query()
		return
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		log.Fatal(err)
	}
	fresh := hex.EncodeToString(id[:])
	fmt.Fprintf(truth, "%s %s\n", incoming, fresh)
	method, content := "GET", io.Reader(nil)
	if name == save {
		method, content = "POST", strings.NewReader(body)
	}
	request, err := http.NewRequest(method, "http://"+os.Getenv("BACKEND")+"/"+name, content)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("x-truth-id", fresh)
	response, err := client.Do(request)
	if err != nil {
		log.Print(err)
		return
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
}

// One question to the database, on a connection of a pool.
func query() {
	var connection net.Conn
	select {
	case connection = <-database:
	default:
		var err error
		if connection, err = net.Dial("tcp", os.Getenv("DATABASE")); err != nil {
			log.Fatal(err)
		}
	}
	io.WriteString(connection, "*1\r\n$4\r\nPING\r\n")
	var answer [64]byte
	connection.Read(answer[:])
	database <- connection
}

func serve(w http.ResponseWriter, r *http.Request) {
	incoming := r.Header.Get("x-truth-id")
	if incoming == "" {
		incoming = nobody
	}
	if r.Method == "POST" {
		io.Copy(io.Discard, r.Body)
	}
	for _, step := range plans[r.URL.Path] {
		if r.URL.Path == "/skip" && mathrand.Float64() < 0.3 {
			continue
		}
		if len(step) == 1 {
			call(incoming, step[0])
			continue
		}
		var group sync.WaitGroup
		for _, name := range step {
			group.Add(1)
			go func(name string) {
				defer group.Done()
				call(incoming, name)
			}(name)
		}
		group.Wait()
	}
	io.WriteString(w, "ok\n")
}

func main() {
	var err error
	if truth, err = os.OpenFile(os.Getenv("TRUTH"), os.O_APPEND|os.O_WRONLY, 0); err != nil {
		log.Fatal(err)
	}
	if background, _ := strconv.Atoi(os.Getenv("BACKGROUND")); background > 0 {
		go func() {
			for range time.Tick(time.Duration(background) * time.Millisecond) {
				call(nobody, "tick")
			}
		}()
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(serve)))
}
