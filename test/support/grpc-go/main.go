// A gRPC client with virt-launcher's manners: a new connection for each call, a blocking dial of at
// most 2 s, authority "localhost", a deadline for the call, the connection closed after it.
//
// Request and first answer are files with the octets of a message. Printed is one JSON object: how
// many calls succeeded, the first failure, how long the calls took.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"sort"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

const dialTimeout = 2 * time.Second

// rawCodec hands messages over as they are. Without a name the content type is plain
// "application/grpc", as it is with generated code.
type rawCodec struct{}

func (rawCodec) Marshal(value interface{}) ([]byte, error) { return *value.(*[]byte), nil }

func (rawCodec) Unmarshal(data []byte, value interface{}) error {
	*value.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (rawCodec) Name() string { return "" }

type report struct {
	Succeeded int    `json:"succeeded"`
	Different int    `json:"different"`
	Code      string `json:"code"`
	Message   string `json:"message"`
	P50us     int64  `json:"p50_us"`
	P99us     int64  `json:"p99_us"`
}

func dial(socket string) (*grpc.ClientConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	return grpc.DialContext(ctx, socket,
		grpc.WithInsecure(),
		grpc.WithBlock(),
		grpc.WithAuthority("localhost"),
		grpc.WithContextDialer(func(ctx context.Context, path string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}))
}

func call(socket, method string, body []byte, deadline time.Duration) ([]byte, error) {
	conn, err := dial(socket)
	if err != nil {
		return nil, fmt.Errorf("dial: %v", err)
	}
	defer conn.Close()
	if method == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var answer []byte
	err = conn.Invoke(ctx, method, &body, &answer, grpc.ForceCodec(rawCodec{}))
	return answer, err
}

func main() {
	socket := flag.String("socket", "", "path of the socket")
	method := flag.String("method", "", "full method; none = connect only")
	count := flag.Int("count", 1, "calls in all")
	parallel := flag.Int("parallel", 1, "calls at once")
	request := flag.String("request", os.DevNull, "file with the message")
	answerFile := flag.String("answer", os.DevNull, "file for the first answer")
	deadline := flag.Duration("deadline", time.Second, "time for each call")
	flag.Parse()
	body, err := os.ReadFile(*request)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}

	var lock sync.Mutex
	var result report
	var first []byte
	took := make([]int64, 0, *count)
	note := func(answer []byte, err error, elapsed time.Duration) {
		lock.Lock()
		defer lock.Unlock()
		took = append(took, elapsed.Microseconds())
		switch {
		case err != nil:
			if result.Code == "" {
				result.Code = status.Code(err).String()
				result.Message = status.Convert(err).Message()
			}
			return
		case result.Succeeded == 0:
			first = answer
		case !bytes.Equal(first, answer):
			result.Different++
		}
		result.Succeeded++
	}

	var wait sync.WaitGroup
	for worker := 0; worker < *parallel; worker++ {
		share := (*count + worker) / *parallel
		wait.Add(1)
		go func() {
			defer wait.Done()
			for ; share > 0; share-- {
				began := time.Now()
				answer, err := call(*socket, *method, body, *deadline)
				note(answer, err, time.Since(began))
			}
		}()
	}
	wait.Wait()

	if err := os.WriteFile(*answerFile, first, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	sort.Slice(took, func(a, b int) bool { return took[a] < took[b] })
	if len(took) > 0 {
		result.P50us = took[len(took)/2]
		result.P99us = took[len(took)*99/100]
	}
	json.NewEncoder(os.Stdout).Encode(result)
}
