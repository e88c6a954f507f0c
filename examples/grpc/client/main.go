// Command client calls a gRPC server again and again, over mutual TLS with the files of a mounted Secret. It never has to be restarted for a new
// certificate. It writes JSON lines: whenever it has loaded a certificate, the server comes with a new one, or a call fails. Ends with
// code 1 if any failed.
package main

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/shop/mtls"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
)

var logger = slog.New(slog.NewJSONHandler(os.Stdout, nil))

func main() {
	directory := flag.String("certs", "/var/run/mtls", "where the Secret is mounted")
	address := flag.String("connect", "web.shop.svc:8443", "host and port of the server")
	name := flag.String("server-name", "", "name that must stand in the server's certificate (default: the host)")
	every := flag.Duration("every", 100*time.Millisecond, "pause between two calls")
	times := flag.Int("times", 0, "end after so many calls (default: never)")
	flag.Parse()
	failures, err := run(*directory, *address, *name, *every, *times)
	if err != nil {
		logger.Error("cannot go on", "error", err.Error())
	}
	if err != nil || failures > 0 {
		os.Exit(1)
	}
}

func run(directory, address, name string, every time.Duration, times int) (failures int, err error) {
	identity, err := mtls.Load(directory, func(leaf *x509.Certificate) {
		logger.Info("loaded", "serial", mtls.Serial(leaf), "notAfter", leaf.NotAfter)
	})
	if err != nil {
		return 0, err
	}
	if name == "" {
		if name, _, err = net.SplitHostPort(address); err != nil {
			return 0, err
		}
	}
	config := identity.ClientConfig()
	config.ServerName = name
	// One for the whole program. gRPC makes connections as they are needed, each with the certificate of that moment.
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	health := grpc_health_v1.NewHealthClient(connection)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	calls, serial, reported := 0, "", time.Now()
	report := func() {
		logger.Info("count", "handshakes", calls, "failures", failures)
		reported = time.Now()
	}
	defer report()
	for done := 0; times == 0 || done < times; done++ {
		server, err := call(health)
		if err != nil {
			failures++
			logger.Error("failed", "error", err.Error())
		} else {
			calls++
			if mtls.Serial(server) != serial {
				serial = mtls.Serial(server)
				logger.Info("peer", "name", mtls.Name(server), "serial", serial, "notAfter", server.NotAfter)
			}
		}
		if time.Since(reported) >= time.Second {
			report()
		}
		select {
		case <-ctx.Done(): // between two calls, so that none is broken off
			return failures, nil
		case <-time.After(every):
		}
	}
	return failures, nil
}

// Makes one call and returns the certificate of the server that answered.
func call(health grpc_health_v1.HealthClient) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var server peer.Peer
	if _, err := health.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Peer(&server)); err != nil {
		return nil, err
	}
	info, ok := server.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return nil, errors.New("the server has shown no certificate")
	}
	return info.State.PeerCertificates[0], nil
}
