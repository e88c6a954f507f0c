// Command verifier says what Go's crypto/x509 and crypto/tls make of certificates. It reads questions as JSON lines and answers each with a JSON line
// in the same order: everything that it parsed, and for each purpose whether the chain verifies. It judges nothing; the tests compare.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Question is one certificate with what it shall be verified against.
type Question struct {
	// Chain is leaf and intermediates, PEM.
	Chain string `json:"chain"`
	Roots string `json:"roots"`
	// Key is the leaf's private key, PEM; empty: not asked.
	Key string `json:"key"`
	// At is the time of verification, RFC 3339.
	At time.Time `json:"at"`
	// Hosts are checked with VerifyHostname; addresses in brackets or plain.
	Hosts []string `json:"hosts"`
}

// Answer is everything that Go makes of it. Errors are texts, empty for success.
type Answer struct {
	ParseError         string            `json:"parseError"`
	KeyError           string            `json:"keyError"`
	VerifyErrors       map[string]string `json:"verifyErrors"`
	HostErrors         []string          `json:"hostErrors"`
	ChainLength        int               `json:"chainLength"`
	Version            int               `json:"version"`
	SerialNumber       string            `json:"serialNumber"`
	Subject            [][2]string       `json:"subject"`
	NotBefore          time.Time         `json:"notBefore"`
	NotAfter           time.Time         `json:"notAfter"`
	DNSNames           []string          `json:"dnsNames"`
	IPAddresses        []string          `json:"ipAddresses"`
	URIs               []string          `json:"uris"`
	EmailAddresses     []string          `json:"emailAddresses"`
	KeyUsage           int               `json:"keyUsage"`
	ExtKeyUsage        []string          `json:"extKeyUsage"`
	BasicConstraints   bool              `json:"basicConstraints"`
	IsCA               bool              `json:"isCa"`
	SubjectKeyID       string            `json:"subjectKeyId"`
	AuthorityKeyID     string            `json:"authorityKeyId"`
	IssuerKeyID        string            `json:"issuerKeyId"`
	PublicKey          string            `json:"publicKey"`
	SignatureAlgorithm string            `json:"signatureAlgorithm"`
	CriticalExtensions []string          `json:"criticalExtensions"`
}

var purposes = map[string]x509.ExtKeyUsage{
	"any":        x509.ExtKeyUsageAny,
	"serverAuth": x509.ExtKeyUsageServerAuth,
	"clientAuth": x509.ExtKeyUsageClientAuth,
}

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := bufio.NewWriterSize(os.Stdout, 1<<20)
	defer output.Flush()
	// Answers keep the order of the questions, though several are worked on at once.
	pending := make(chan chan []byte, 4*runtime.NumCPU())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for answer := range pending {
			_, _ = output.Write(append(<-answer, '\n'))
		}
	}()
	limit := make(chan struct{}, runtime.NumCPU())
	for {
		line, err := input.ReadBytes('\n')
		if len(line) > 1 {
			answer := make(chan []byte, 1)
			pending <- answer
			limit <- struct{}{}
			go func() {
				defer func() { <-limit }()
				answer <- respond(line)
			}()
		}
		if err != nil {
			break
		}
	}
	close(pending)
	<-done
}

func respond(line []byte) []byte {
	var question Question
	if err := json.Unmarshal(line, &question); err != nil {
		fmt.Fprintln(os.Stderr, "not a question:", err)
		os.Exit(2)
	}
	text, err := json.Marshal(examine(question))
	if err != nil {
		fmt.Fprintln(os.Stderr, "no answer:", err)
		os.Exit(2)
	}
	return text
}

func examine(question Question) Answer {
	chain, err := parsePEM(question.Chain)
	if err != nil {
		return Answer{ParseError: err.Error()}
	}
	if len(chain) == 0 {
		return Answer{ParseError: "no certificate"}
	}
	leaf := chain[0]
	answer := describe(leaf)
	if question.Key != "" {
		if _, err := tls.X509KeyPair([]byte(question.Chain), []byte(question.Key)); err != nil {
			answer.KeyError = err.Error()
		}
	}
	for _, host := range question.Hosts {
		if err := leaf.VerifyHostname(host); err != nil {
			answer.HostErrors = append(answer.HostErrors, host+": "+err.Error())
		}
	}
	verify(&answer, chain, question)
	return answer
}

func verify(answer *Answer, chain []*x509.Certificate, question Question) {
	answer.VerifyErrors = map[string]string{}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(question.Roots)) {
		answer.VerifyErrors["any"] = "no root could be parsed"
		return
	}
	for _, certificate := range chain[1:] {
		intermediates.AddCert(certificate)
	}
	for name, purpose := range purposes {
		chains, err := chain[0].Verify(x509.VerifyOptions{
			Roots:         roots,
			Intermediates: intermediates,
			CurrentTime:   question.At,
			KeyUsages:     []x509.ExtKeyUsage{purpose},
		})
		if err != nil {
			answer.VerifyErrors[name] = err.Error()
			continue
		}
		answer.ChainLength = len(chains[0])
		answer.IssuerKeyID = hex.EncodeToString(chains[0][1].SubjectKeyId)
	}
}

func parsePEM(text string) ([]*x509.Certificate, error) {
	var certificates []*x509.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			return certificates, nil
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
}

func describe(leaf *x509.Certificate) Answer {
	answer := Answer{
		Version:            leaf.Version,
		SerialNumber:       strings.ToUpper(hex.EncodeToString(leaf.SerialNumber.Bytes())),
		NotBefore:          leaf.NotBefore,
		NotAfter:           leaf.NotAfter,
		DNSNames:           leaf.DNSNames,
		EmailAddresses:     leaf.EmailAddresses,
		KeyUsage:           int(leaf.KeyUsage),
		BasicConstraints:   leaf.BasicConstraintsValid,
		IsCA:               leaf.IsCA,
		SubjectKeyID:       hex.EncodeToString(leaf.SubjectKeyId),
		AuthorityKeyID:     hex.EncodeToString(leaf.AuthorityKeyId),
		PublicKey:          publicKey(leaf),
		SignatureAlgorithm: leaf.SignatureAlgorithm.String(),
	}
	for _, attribute := range leaf.Subject.Names {
		answer.Subject = append(answer.Subject, [2]string{attribute.Type.String(), fmt.Sprint(attribute.Value)})
	}
	for _, address := range leaf.IPAddresses {
		answer.IPAddresses = append(answer.IPAddresses, hex.EncodeToString(address))
	}
	for _, purpose := range leaf.ExtKeyUsage {
		for name, known := range purposes {
			if purpose == known {
				answer.ExtKeyUsage = append(answer.ExtKeyUsage, name)
			}
		}
	}
	for _, purpose := range leaf.UnknownExtKeyUsage {
		answer.ExtKeyUsage = append(answer.ExtKeyUsage, purpose.String())
	}
	for _, extension := range leaf.Extensions {
		if extension.Critical {
			answer.CriticalExtensions = append(answer.CriticalExtensions, extension.Id.String())
		}
		if extension.Id.String() == "2.5.29.17" {
			answer.URIs = rawURIs(extension.Value)
		}
	}
	return answer
}

// rawURIs reads the URIs as they stand in the certificate; url.URL's String may write them in another way.
func rawURIs(subjectAltName []byte) []string {
	var names []asn1.RawValue
	if _, err := asn1.Unmarshal(subjectAltName, &names); err != nil {
		return []string{"cannot be read: " + err.Error()}
	}
	var uris []string
	for _, name := range names {
		if name.Class == asn1.ClassContextSpecific && name.Tag == 6 {
			uris = append(uris, string(name.Bytes))
		}
	}
	return uris
}

func publicKey(leaf *x509.Certificate) string {
	switch key := leaf.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ECDSA %d", key.Curve.Params().BitSize)
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	default:
		return fmt.Sprintf("%T", key)
	}
}
