// Command spiffe says what go-spiffe makes of certificates that shall be X.509-SVIDs: one question and one answer per JSON line, in order.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Question is an SVID with the bundle of its trust domain.
type Question struct {
	// Chain is leaf and intermediates, PEM.
	Chain string `json:"chain"`
	// Key is the leaf's private key in PKCS#8, PEM.
	Key         string    `json:"key"`
	Roots       string    `json:"roots"`
	TrustDomain string    `json:"trustDomain"`
	At          time.Time `json:"at"`
}

// Answer is the SPIFFE ID that go-spiffe verified, or why it refused.
type Answer struct {
	ID    string `json:"id"`
	Error string `json:"error"`
}

func main() {
	input := bufio.NewReaderSize(os.Stdin, 1<<20)
	output := json.NewEncoder(os.Stdout)
	for {
		line, err := input.ReadBytes('\n')
		if len(line) > 1 {
			var question Question
			if err := json.Unmarshal(line, &question); err != nil {
				fmt.Fprintln(os.Stderr, "not a question:", err)
				os.Exit(2)
			}
			id, err := examine(question)
			answer := Answer{ID: id}
			if err != nil {
				answer.Error = err.Error()
			}
			if err := output.Encode(answer); err != nil {
				os.Exit(2)
			}
		}
		if err != nil {
			return
		}
	}
}

func examine(question Question) (string, error) {
	trustDomain, err := spiffeid.TrustDomainFromString(question.TrustDomain)
	if err != nil {
		return "", err
	}
	bundle, err := x509bundle.Parse(trustDomain, []byte(question.Roots))
	if err != nil {
		return "", err
	}
	svid, err := x509svid.Parse([]byte(question.Chain), []byte(question.Key))
	if err != nil {
		return "", err
	}
	raw := make([][]byte, 0, len(svid.Certificates))
	for _, certificate := range svid.Certificates {
		raw = append(raw, certificate.Raw)
	}
	id, _, err := x509svid.ParseAndVerify(raw, bundle, x509svid.WithTime(question.At))
	if err != nil {
		return "", err
	}
	return id.String(), nil
}
