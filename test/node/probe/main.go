// What tests run in pods: says what it sees from in there, a line at a time.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

const usage = `usage: probe watch <file>               prints the file's content whenever it is another
       probe serve <address> <text>     answers every TCP connection with the text
       probe ask <address>...           prints what is answered to a TCP connection, asking each until it answers
       probe echo <url>...              serves at each, tcp://:9000 or http://:8080, and says to whoever comes what it heard and from whom
       probe visit <url>...             asks once at each, and prints what was answered, or closed, or what is wrong
       probe tls <address> <folder>     serves TLS with tls.crt and tls.key as they are when it starts, and never reads them again
       probe serial <address> <folder>  prints the serial number of the certificate at a TLS server whenever it is another, verified with ca.crt
       probe anonymous <address> <folder>  makes one HTTPS request without a certificate, the server's verified with ca.crt, and prints the answer or what is wrong
       probe api <path>                 prints what the API server answers to the pod's service account`

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/"

func main() {
	if len(os.Args) < 3 {
		fail(errors.New(usage))
	}
	argument := os.Args[2]
	switch os.Args[1] {
	case "watch":
		watch(argument)
	case "serve":
		fail(serve(argument, os.Args[3]))
	case "ask":
		for _, address := range os.Args[2:] {
			fmt.Printf("%s: %s\n", address, ask(address))
		}
	case "echo":
		fail(echo(os.Args[2:]))
	case "visit":
		for _, address := range os.Args[2:] {
			fmt.Printf("%s: %s\n", address, visit(address))
		}
	case "tls":
		fail(serveTLS(argument, os.Args[3]))
	case "serial":
		watchSerial(argument, os.Args[3])
	case "anonymous":
		fmt.Println(anonymous(argument, os.Args[3]))
	case "api":
		answer, err := api(argument)
		if err != nil {
			fail(err)
		}
		fmt.Println(answer)
	default:
		fail(errors.New(usage))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func watch(file string) {
	last := ""
	for {
		content, err := os.ReadFile(file)
		seen := string(content)
		if err != nil {
			seen = err.Error()
		}
		if seen != last {
			fmt.Println(seen)
			last = seen
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func serve(address, text string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			fmt.Fprintf(connection, "%s to %s", text, connection.RemoteAddr().(*net.TCPAddr).IP)
			connection.Close()
		}()
	}
}

func ask(address string) string {
	last := ""
	for {
		answer, err := askOnce(address)
		if err == nil {
			return answer
		}
		if err.Error() != last {
			last = err.Error()
			fmt.Fprintln(os.Stderr, last)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func askOnce(address string) (string, error) {
	connection, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	answer, err := io.ReadAll(connection)
	return string(answer), err
}

func serveTLS(address, folder string) error {
	certificate, err := tls.LoadX509KeyPair(folder+"/tls.crt", folder+"/tls.key")
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			connection.(*tls.Conn).Handshake()
			connection.Close()
		}()
	}
}

func watchSerial(address, folder string) {
	last, lastError := "", ""
	for {
		seen, err := serialAt(address, folder)
		if err != nil && err.Error() != lastError {
			lastError = err.Error()
			fmt.Fprintln(os.Stderr, lastError)
		}
		if err == nil && seen != last {
			fmt.Println(seen)
			last = seen
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// serialAt returns it in the notation of openssl: capital hexadecimal, whole bytes.
func serialAt(address, folder string) (string, error) {
	roots, err := rootsIn(folder)
	if err != nil {
		return "", err
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	connection, err := tls.DialWithDialer(&dialer, "tcp", address, &tls.Config{RootCAs: roots})
	if err != nil {
		return "", err
	}
	defer connection.Close()
	return fmt.Sprintf("%X", connection.ConnectionState().PeerCertificates[0].SerialNumber.Bytes()), nil
}

func rootsIn(folder string) (*x509.CertPool, error) {
	ca, err := os.ReadFile(folder + "/ca.crt")
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return roots, nil
}

// In TLS 1.3 a client learns that it was refused when it reads, not by its handshake: so a whole request is made.
func anonymous(address, folder string) string {
	roots, err := rootsIn(folder)
	if err != nil {
		return err.Error()
	}
	client := http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
	}
	answer, err := client.Get("https://" + address + "/")
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	return answer.Status
}

func api(path string) (string, error) {
	roots, err := rootsIn(serviceAccount)
	if err != nil {
		return "", err
	}
	token, err := os.ReadFile(serviceAccount + "token")
	if err != nil {
		return "", err
	}
	client := http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
	}
	server := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	request, err := http.NewRequest("GET", "https://"+server+path, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %s", answer.StatusCode, body), nil
}
