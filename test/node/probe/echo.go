package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const patience = 10 * time.Second

// echo serves at every address, each as tcp://:9000 or http://:8080, and prints what comes. Over TCP the client speaks first.
func echo(addresses []string) error {
	failed := make(chan error)
	for _, address := range addresses {
		protocol, where, err := split(address)
		if err != nil {
			return err
		}
		listener, err := net.Listen("tcp", where)
		if err != nil {
			return err
		}
		go func() {
			if protocol == "http" {
				failed <- http.Serve(listener, http.HandlerFunc(echoHTTP))
			} else {
				failed <- echoTCP(listener)
			}
		}()
	}
	return <-failed
}

func echoHTTP(answer http.ResponseWriter, request *http.Request) {
	host, _, _ := net.SplitHostPort(request.RemoteAddr)
	heard := fmt.Sprintf("%s %s from %s", request.Method, request.URL.Path, host)
	fmt.Println(heard)
	if request.URL.Path == "/unwell" {
		answer.WriteHeader(http.StatusInternalServerError)
	}
	fmt.Fprint(answer, heard)
}

func echoTCP(listener net.Listener) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer connection.Close()
			host, _, _ := net.SplitHostPort(connection.RemoteAddr().String())
			bytes := make([]byte, 1024)
			for {
				count, err := connection.Read(bytes)
				if err != nil {
					return
				}
				heard := fmt.Sprintf("%s from %s", bytes[:count], host)
				fmt.Println(heard)
				fmt.Fprint(connection, heard)
			}
		}()
	}
}

// visit asks once at an address as echo takes it, with a host, and for HTTP with a path.
func visit(address string) string {
	protocol, where, err := split(address)
	if err != nil {
		return err.Error()
	}
	var answer string
	if protocol == "http" {
		answer, err = visitHTTP(address)
	} else {
		answer, err = visitTCP(where)
	}
	switch {
	case err == nil:
		return answer
	// It was there, and would not talk.
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return "closed"
	default:
		return err.Error()
	}
}

func visitHTTP(address string) (string, error) {
	// One connection for each question, and no second one that hides how the first has ended.
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(address)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return fmt.Sprintf("%d %s", answer.StatusCode, body), err
}

func visitTCP(address string) (string, error) {
	connection, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprint(connection, "question"); err != nil {
		return "", err
	}
	bytes := make([]byte, 1024)
	count, err := connection.Read(bytes)
	return string(bytes[:count]), err
}

func split(address string) (protocol, where string, err error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return "", "", err
	}
	if parsed.Scheme != "tcp" && parsed.Scheme != "http" {
		return "", "", fmt.Errorf("%s is neither tcp://host:port nor http://host:port/path", strings.TrimSpace(address))
	}
	return parsed.Scheme, parsed.Host, nil
}
