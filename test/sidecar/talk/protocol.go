package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// Longer than any sidecar should ever wait, so that one that waits is told from one that refuses.
const patience = 14 * time.Second

var errRefused = errors.New("refused")

// dial opens one connection.
type dial func(ctx context.Context, address string) (net.Conn, error)

type protocol struct {
	port  string
	serve func(net.Listener) error
	// talk opens one connection, says the payload and returns `heard <payload>`, which is what the server has to say.
	talk func(ctx context.Context, open dial, address, payload string) (string, error)
	// keep opens one connection on which one can say more than once.
	keep func(ctx context.Context, open dial, address string) (conversation, error)
}

type conversation interface {
	say(payload string) (string, error)
	close()
}

var protocols = map[string]protocol{
	"http1":     {port: "8080", serve: serveHTTP, talk: talkHTTP1},
	"http2":     {port: "8080", talk: talkHTTP2},
	"websocket": {port: "8080", talk: talkWebSocket},
	"grpc":      {port: "8081", serve: serveGRPC, talk: talkGRPC, keep: keepGRPC},
	"tcp":       {port: "9000", serve: serveTCP, talk: talkTCP},
	"lines":     {port: "9001", serve: serveLines, talk: talkLines, keep: keepLines},
	"tls":       {port: "9443", serve: serveTLS, talk: talkTLS},
	"greeter":   {port: "2525", serve: serveGreeter, talk: talkGreeter, keep: keepGreeter},
}

func heard(payload string) string { return "heard " + payload }

func serve() error {
	failed := make(chan error)
	for _, one := range protocols {
		if one.serve == nil {
			continue
		}
		listener, err := net.Listen("tcp", ":"+one.port)
		if err != nil {
			return err
		}
		go func() { failed <- one.serve(listener) }()
	}
	return <-failed
}

// converse talks once. What libraries make of a connection that ended without a byte differs: the connection itself says it.
func converse(one protocol, address, payload string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var last atomic.Pointer[observed]
	answer, err := one.talk(ctx, func(ctx context.Context, address string) (net.Conn, error) {
		seen, err := observe(ctx, address)
		if err != nil {
			return nil, err
		}
		last.Store(seen)
		return seen, seen.SetDeadline(time.Now().Add(patience))
	}, address, payload)
	if seen := last.Load(); err != nil && seen != nil && seen.refused.Load() {
		return "", errRefused
	}
	return answer, err
}

// observed is a connection that remembers whether it was ended before anything came.
type observed struct {
	*net.TCPConn
	any, refused atomic.Bool
}

func observe(ctx context.Context, address string) (*observed, error) {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &observed{TCPConn: connection.(*net.TCPConn)}, nil
}

func (seen *observed) Read(bytes []byte) (int, error) {
	count, err := seen.TCPConn.Read(bytes)
	if count > 0 {
		seen.any.Store(true)
	}
	seen.note(err)
	return count, err
}

func (seen *observed) Write(bytes []byte) (int, error) {
	count, err := seen.TCPConn.Write(bytes)
	seen.note(err)
	return count, err
}

func (seen *observed) note(err error) {
	ended := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	if ended && !seen.any.Load() {
		seen.refused.Store(true)
	}
}
