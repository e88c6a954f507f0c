// Command server greets every client by the name in its certificate, over mutual TLS with the files of a mounted Secret. It never has
// to be restarted for a new certificate. It writes JSON lines: whenever it has loaded a certificate, a peer comes with a new one, or a
// handshake fails.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/shop/mtls"
)

var (
	logger   = slog.New(slog.NewJSONHandler(os.Stdout, nil))
	served   atomic.Int64
	failures atomic.Int64
	peers    sync.Map // name of a peer → serial number of its certificate
)

func main() {
	directory := flag.String("certs", "/var/run/mtls", "where the Secret is mounted")
	address := flag.String("listen", ":8443", "address to serve on")
	flag.Parse()
	if err := serve(*directory, *address); err != nil {
		logger.Error("cannot go on", "error", err.Error())
		os.Exit(1)
	}
}

func serve(directory, address string) error {
	identity, err := mtls.Load(directory, func(leaf *x509.Certificate) {
		logger.Info("loaded", "serial", mtls.Serial(leaf), "notAfter", leaf.NotAfter)
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	logger.Info("serving", "address", listener.Addr().String())

	server := &http.Server{
		Handler:           http.HandlerFunc(greet),
		ErrorLog:          log.New(failureWriter{}, "", 0),
		ReadHeaderTimeout: 10 * time.Second,
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go count(ctx)
	go func() {
		<-ctx.Done()
		deadline, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = server.Shutdown(deadline)
	}()
	if err := server.Serve(tls.NewListener(listener, identity.ServerConfig())); err != http.ErrServerClosed {
		return err
	}
	logger.Info("count", "handshakes", served.Load(), "failures", failures.Load())
	return nil
}

// TLS has proved who the peer is. Whether it may do what it asks for is decided here.
func greet(response http.ResponseWriter, request *http.Request) {
	peer := request.TLS.PeerCertificates[0]
	name, serial := mtls.Name(peer), mtls.Serial(peer)
	if before, known := peers.Swap(name, serial); !known || before != serial {
		logger.Info("peer", "name", name, "serial", serial, "notAfter", peer.NotAfter)
	}
	served.Add(1)
	fmt.Fprintf(response, "hello %s\n", name)
}

// failureWriter receives what net/http has to say; about handshakes, it says nothing but failures.
type failureWriter struct{}

func (failureWriter) Write(line []byte) (int, error) {
	failures.Add(1)
	logger.Error("failed", "error", strings.TrimSpace(string(line)))
	return len(line), nil
}

func count(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
			logger.Info("count", "handshakes", served.Load(), "failures", failures.Load())
		}
	}
}
