// Command client makes a new connection to a server again and again, over mutual TLS with the files of a mounted Secret. It never has to be
// restarted for a new certificate. It writes JSON lines: whenever it has loaded a certificate, the server comes with a new one, or a
// connection fails. Ends with code 1 if any failed.
package main

import (
	"context"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/shop/mtls"
)

var logger = slog.New(slog.NewJSONHandler(os.Stdout, nil))

func main() {
	directory := flag.String("certs", "/var/run/mtls", "where the Secret is mounted")
	address := flag.String("connect", "web.shop.svc:8443", "host and port of the server")
	name := flag.String("server-name", "", "name that must stand in the server's certificate (default: the host)")
	every := flag.Duration("every", 100*time.Millisecond, "pause between two connections")
	times := flag.Int("times", 0, "end after so many connections (default: never)")
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
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	if name == "" {
		name = host
	}
	config := identity.ClientConfig()
	config.ServerName = name
	client := &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:   config,
			DisableKeepAlives: true, // each request makes a handshake: that is what we are here to show
			// Where the server is, whatever it is called.
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			},
		},
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	handshakes, serial, reported := 0, "", time.Now()
	report := func() {
		logger.Info("count", "handshakes", handshakes, "failures", failures)
		reported = time.Now()
	}
	defer report()
	for done := 0; times == 0 || done < times; done++ {
		peer, err := greet(client, "https://"+name+"/")
		if err != nil {
			failures++
			logger.Error("failed", "error", err.Error())
		} else {
			handshakes++
			if mtls.Serial(peer) != serial {
				serial = mtls.Serial(peer)
				logger.Info("peer", "name", mtls.Name(peer), "serial", serial, "notAfter", peer.NotAfter)
			}
		}
		if time.Since(reported) >= time.Second {
			report()
		}
		select {
		case <-ctx.Done(): // between two connections, so that none is broken off
			return failures, nil
		case <-time.After(every):
		}
	}
	return failures, nil
}

// Makes one connection and returns the server's certificate.
func greet(client *http.Client, url string) (*x509.Certificate, error) {
	response, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", response.Status)
	}
	return response.TLS.PeerCertificates[0], nil
}
