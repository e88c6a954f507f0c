// Command meshclient has no sidecar and asks a pod that has one, over mutual TLS with the files of a mounted Secret. It writes JSON lines: whenever it has
// loaded a certificate, is answered, or a request fails. Ends with code 1 if any failed.
package main

import (
	"crypto/x509"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"example.com/shop/mtls"
)

var logger = slog.New(slog.NewJSONHandler(os.Stdout, nil))

func main() {
	directory := flag.String("certs", "/var/run/mtls", "where the Secret is mounted")
	address := flag.String("connect", "web.shop.svc:8080", "host and port of the server")
	server := flag.String("server", "spiffe://cluster.local/ns/shop/sa/web", "who the server has to be")
	path := flag.String("path", "/", "what to ask for")
	unmarked := flag.Bool("unmarked", false, "leave out the marker, as clients do that know nothing of the mesh")
	every := flag.Duration("every", 100*time.Millisecond, "pause between two requests")
	times := flag.Int("times", 1, "end after so many requests; 0: never")
	flag.Parse()

	identity, err := mtls.Load(*directory, func(leaf *x509.Certificate) {
		logger.Info("loaded", "serial", mtls.Serial(leaf), "notAfter", leaf.NotAfter)
	})
	if err != nil {
		logger.Error("cannot go on", "error", err.Error())
		os.Exit(1)
	}
	config := identity.MeshConfig(*server)
	if *unmarked {
		config.NextProtos = nil
	}
	client := &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			TLSClientConfig:   config,
			DisableKeepAlives: true, // each request makes a handshake: that is what we are here to show
		},
	}
	failures := 0
	for done := 0; *times == 0 || done < *times; done++ {
		if done > 0 {
			time.Sleep(*every)
		}
		if err := ask(client, "https://"+*address+*path); err != nil {
			failures++
			logger.Error("failed", "error", err.Error())
		}
	}
	if failures > 0 {
		os.Exit(1)
	}
}

func ask(client *http.Client, url string) error {
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	logger.Info("answer", "status", response.StatusCode, "body", string(body))
	return nil
}
