package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"time"
)

// More than the buffers on the way hold, so that both sides have to read while they write.
const flood = 4 << 20

func serveEach(listener net.Listener, serve func(net.Conn)) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer connection.Close()
			serve(connection)
		}()
	}
}

// closer can end its own direction alone.
type closer interface {
	net.Conn
	CloseWrite() error
}

// serveTCP sends as much as it is sent, at the same time, and answers when the client has ended its direction.
func serveTCP(listener net.Listener) error {
	return serveEach(listener, func(connection net.Conn) {
		reader := bufio.NewReader(connection)
		payload, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		written := make(chan error)
		go func() {
			_, err := connection.Write(make([]byte, flood))
			written <- err
		}()
		count, err := io.Copy(io.Discard, reader)
		if err = errors.Join(err, <-written); err == nil && count == flood {
			fmt.Fprint(connection, heard(strings.TrimSpace(payload)))
		}
	})
}

func talkTCP(ctx context.Context, open dial, address, payload string) (string, error) {
	connection, err := open(ctx, address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	written := make(chan error, 1)
	go func() {
		_, err := connection.Write(append([]byte(payload+"\n"), make([]byte, flood)...))
		written <- errors.Join(err, connection.(closer).CloseWrite())
	}()
	got, err := io.ReadAll(connection)
	if err = errors.Join(err, <-written); err != nil {
		return "", err
	}
	if len(got) < flood {
		return "", fmt.Errorf("%d bytes, then it was ended: %w", len(got), io.EOF)
	}
	return string(bytes.TrimLeft(got, "\x00")), nil
}

// serveLines answers each line, for as long as there are any.
func serveLines(listener net.Listener) error { return serveEach(listener, answerLines) }

func answerLines(connection net.Conn) {
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		fmt.Fprintln(connection, heard(lines.Text()))
	}
}

func talkLines(ctx context.Context, open dial, address, payload string) (string, error) {
	return sayOnce(ctx, keepLines, open, address, payload)
}

func keepLines(ctx context.Context, open dial, address string) (conversation, error) {
	connection, err := open(ctx, address)
	if err != nil {
		return nil, err
	}
	return newLines(connection), nil
}

func sayOnce(
	ctx context.Context, keep func(context.Context, dial, string) (conversation, error), open dial, address, payload string,
) (string, error) {
	one, err := keep(ctx, open, address)
	if err != nil {
		return "", err
	}
	defer one.close()
	return one.say(payload)
}

// serveGreeter speaks first, and waits for whoever is silent.
func serveGreeter(listener net.Listener) error {
	return serveEach(listener, func(connection net.Conn) {
		fmt.Fprintln(connection, greeting)
		answerLines(connection)
	})
}

const greeting = "220 well met"

func talkGreeter(ctx context.Context, open dial, address, payload string) (string, error) {
	return sayOnce(ctx, keepGreeter, open, address, payload)
}

func keepGreeter(ctx context.Context, open dial, address string) (conversation, error) {
	connection, err := open(ctx, address)
	if err != nil {
		return nil, err
	}
	one := newLines(connection)
	if err := one.greeted(); err != nil {
		one.close()
		return nil, err
	}
	return one, nil
}

type lines struct {
	connection net.Conn
	reader     *bufio.Reader
}

func newLines(connection net.Conn) *lines { return &lines{connection, bufio.NewReader(connection)} }

func (one *lines) greeted() error {
	said, err := one.reader.ReadString('\n')
	if err == nil && strings.TrimSpace(said) != greeting {
		return fmt.Errorf("greeted with %q", said)
	}
	return err
}

func (one *lines) say(payload string) (string, error) {
	if _, err := fmt.Fprintln(one.connection, payload); err != nil {
		return "", err
	}
	answer, err := one.reader.ReadString('\n')
	return strings.TrimSpace(answer), err
}

func (one *lines) close() { one.connection.Close() }

// Whom the application's own TLS is with: nobody in between has a certificate of this name.
const ownName = "own.application.test"

func serveTLS(listener net.Listener) error {
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	return serveLines(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}}))
}

// talkTLS says the payload in its ClientHello too, the only part that can be read on its way.
func talkTLS(ctx context.Context, open dial, address, payload string) (string, error) {
	connection, err := open(ctx, address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	// The certificate is made anew by each server: by its name it is told from a sidecar's.
	own := tls.Client(connection, &tls.Config{ServerName: payload + ".test", InsecureSkipVerify: true})
	if err := own.HandshakeContext(ctx); err != nil {
		return "", err
	}
	stranger := own.ConnectionState().PeerCertificates[0].VerifyHostname(ownName)
	// Said to whoever it is: a client that verifies nothing is not to be heard by the application either.
	answer, err := newLines(own).say(payload)
	switch {
	case stranger == nil:
		return answer, err
	// In TLS 1.3 the client is done before the server says what it thinks of it, which may be too late for what is written.
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return "", errRefused
	default:
		return "", errors.Join(stranger, err)
	}
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: ownName},
		DNSNames:     []string{ownName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
