// Package mtls keeps a program's certificate, key and roots as fresh as the Secret that is mounted into its pod.
//
// The files are looked at when a connection is made, at most once a second: there is nothing to start and nothing to stop, and every
// new connection uses what the Secret holds now. Connections that are open stay open.
package mtls

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Identity is who this program is to its peers, and whom it trusts. Safe for concurrent use.
type Identity struct {
	directory string
	onLoad    func(leaf *x509.Certificate)

	mutex   sync.Mutex
	looked  time.Time
	files   [3][]byte
	current material
}

type material struct {
	certificate tls.Certificate
	roots       *x509.CertPool
}

// Load reads tls.crt, tls.key and ca.crt from the directory where the Secret is mounted. onLoad is called now and whenever another
// certificate has been read.
func Load(directory string, onLoad func(leaf *x509.Certificate)) (*Identity, error) {
	identity := &Identity{directory: directory, onLoad: onLoad}
	if err := identity.read(); err != nil {
		return nil, err
	}
	return identity, nil
}

// ServerConfig is for servers: a peer without a certificate that our roots vouch for gets no connection.
func (i *Identity) ServerConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// Called for each connection, so roots are as fresh as the certificate.
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now := i.fresh()
			return &tls.Config{
				MinVersion:   tls.VersionTLS13,
				Certificates: []tls.Certificate{now.certificate},
				ClientAuth:   tls.RequireAndVerifyClientCert,
				ClientCAs:    now.roots,
				// A resumed session would carry on with a certificate that may have expired since.
				SessionTicketsDisabled: true,
			}, nil
		},
	}
}

// ClientConfig is for clients. Connect by a DNS name that stands in the server's certificate.
func (i *Identity) ClientConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			certificate := i.fresh().certificate
			return &certificate, nil
		},
		// RootCAs would stay what they are now for as long as this configuration lives. So crypto/tls is told to leave verification to
		// VerifyConnection, which does the same with fresh roots. One without the other would accept anybody.
		InsecureSkipVerify: true,
		VerifyConnection:   i.verifyServer,
	}
}

func (i *Identity) verifyServer(state tls.ConnectionState) error {
	if state.ServerName == "" {
		return errors.New("mtls: no name to verify the server by: connect by a DNS name, or set ServerName")
	}
	return i.verifyChain(state, state.ServerName)
}

// Without a name only that our roots vouch for the server, whoever it is.
func (i *Identity) verifyChain(state tls.ConnectionState, name string) error {
	intermediates := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		intermediates.AddCert(certificate)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName:       name,
		Roots:         i.fresh().roots,
		Intermediates: intermediates,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

// What the Secret holds now. Files that cannot be read or do not fit together change nothing: the next connection looks again.
func (i *Identity) fresh() material {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if time.Since(i.looked) >= time.Second {
		_ = i.read()
	}
	return i.current
}

func (i *Identity) read() error {
	i.looked = time.Now()
	// The kubelet writes a new directory and then points the link ..data to it. Resolved once, so that all files are of one certificate.
	directory, err := filepath.EvalSymlinks(filepath.Join(i.directory, "..data"))
	if err != nil {
		directory = i.directory // not a volume of Kubernetes
	}
	var files [3][]byte
	for index, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		if files[index], err = os.ReadFile(filepath.Join(directory, name)); err != nil {
			return err
		}
	}
	if bytes.Equal(files[0], i.files[0]) && bytes.Equal(files[1], i.files[1]) && bytes.Equal(files[2], i.files[2]) {
		return nil
	}
	certificate, err := tls.X509KeyPair(files[0], files[1]) // also checks that they belong together
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(files[2]) {
		return fmt.Errorf("mtls: no certificate in %s", filepath.Join(directory, "ca.crt"))
	}
	i.files = files
	i.current = material{certificate, roots}
	i.onLoad(certificate.Leaf)
	return nil
}

// Name is who a verified peer is: its SPIFFE ID, else its first DNS name, else its subject.
func Name(certificate *x509.Certificate) string {
	switch {
	case len(certificate.URIs) > 0:
		return certificate.URIs[0].String()
	case len(certificate.DNSNames) > 0:
		return certificate.DNSNames[0]
	default:
		return certificate.Subject.String()
	}
}

// Serial is the serial number as kubectl and openssl print it.
func Serial(certificate *x509.Certificate) string {
	return fmt.Sprintf("%X", certificate.SerialNumber)
}
