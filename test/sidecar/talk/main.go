// What tests of sidecars run in pods: servers and clients of many protocols, which know nothing of a mesh.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

const usage = `usage: talk serve                                        serves every protocol at its port
       talk ask <protocol>://<host:port> <payload>      says the payload once, and prints what came of it
       talk load <file> <protocol>://<host:port>...     talks all the while over new connections, and over some that it keeps
       talk control <command>                           tells the load beside it: renew, report`

func main() {
	if len(os.Args) < 2 {
		fail(errors.New(usage))
	}
	arguments := os.Args[2:]
	switch {
	case os.Args[1] == "serve":
		fail(serve())
	case os.Args[1] == "ask" && len(arguments) == 2:
		fmt.Println(ask(arguments[0], arguments[1]))
	case os.Args[1] == "load" && len(arguments) > 1:
		fail(load(arguments[0], arguments[1:]))
	case os.Args[1] == "control" && len(arguments) == 1:
		answer, err := control(arguments[0])
		fail(err)
		fmt.Println(answer)
	default:
		fail(errors.New(usage))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// ask returns `heard <payload>`, `refused` where the server was there and would not talk, or what is wrong.
func ask(url, payload string) string {
	protocol, address, err := parse(url)
	if err != nil {
		return err.Error()
	}
	answer, err := converse(protocol, address, payload)
	if err != nil {
		return err.Error()
	}
	return answer
}

func parse(url string) (protocol, string, error) {
	name, address, _ := strings.Cut(url, "://")
	found, known := protocols[name]
	if !known || address == "" {
		return protocol{}, "", fmt.Errorf("%q is not <protocol>://<host:port>", url)
	}
	return found, address, nil
}
