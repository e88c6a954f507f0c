package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	controlAddress = "127.0.0.1:7070"
	// Between two words of one who talks.
	pause = 300 * time.Millisecond
)

// load talks until it is told to end, and then finishes what it is at. URLs that begin with keep+ are talked to over connections that are kept.
func load(file string, urls []string) error {
	// A file outlives the pod.
	output, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	said := &report{output: json.NewEncoder(output), talks: map[string]int{}}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	var all sync.WaitGroup
	var renewed []*keeper
	for _, url := range urls {
		name, kept := strings.CutPrefix(url, "keep+")
		one, address, err := parse(name)
		if err != nil {
			return err
		}
		if !kept {
			all.Go(func() { talkOn(stop, one, name, address, said) })
			continue
		}
		for _, sort := range []string{"steady", "renewed"} {
			keeper := &keeper{protocol: one, url: name, sort: sort, address: address, said: said, renew: make(chan chan struct{})}
			if sort == "renewed" {
				renewed = append(renewed, keeper)
			}
			all.Go(func() { keeper.run(stop) })
		}
	}
	go func() { fail(serveControl(said, renewed)) }()
	all.Wait()
	said.end()
	return output.Close()
}

func talkOn(stop context.Context, one protocol, url, address string, said *report) {
	for stop.Err() == nil {
		opened := time.Now()
		said.talked(url, opened, func() error {
			answer, err := converse(one, address, url)
			if err == nil && answer != heard(url) {
				err = fmt.Errorf("answered with %q", answer)
			}
			return err
		}())
		wait(stop)
	}
}

func wait(stop context.Context) {
	select {
	case <-stop.Done():
	case <-time.After(pause):
	}
}

// event is what went wrong, and on a connection from when.
type event struct {
	Kind   string    `json:"kind"` // failed, cut
	What   string    `json:"what"`
	Opened time.Time `json:"opened"`
	At     time.Time `json:"at"`
	Error  string    `json:"error"`
}

type report struct {
	mutex  sync.Mutex
	output *json.Encoder
	talks  map[string]int
	Events []event
}

// talked counts what went well, and tells of what did not.
func (said *report) talked(what string, opened time.Time, err error) {
	if err != nil {
		said.note(event{"failed", what, opened, time.Now(), err.Error()})
		return
	}
	said.mutex.Lock()
	defer said.mutex.Unlock()
	said.talks[what]++
}

func (said *report) note(one event) {
	said.mutex.Lock()
	defer said.mutex.Unlock()
	said.Events = append(said.Events, one)
	said.output.Encode(one)
}

func (said *report) end() {
	said.mutex.Lock()
	defer said.mutex.Unlock()
	said.output.Encode(map[string]any{"kind": "ended", "talks": said.talks})
}

func (said *report) text() string {
	said.mutex.Lock()
	defer said.mutex.Unlock()
	text, _ := json.Marshal(map[string]any{"talks": said.talks, "events": append([]event{}, said.Events...)})
	return string(text)
}

// serveControl answers whoever is in the same container.
func serveControl(said *report, renewed []*keeper) error {
	http.HandleFunc("/report", func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprint(answer, said.text()) })
	// Answered when all those connections are other ones.
	http.HandleFunc("/renew", func(http.ResponseWriter, *http.Request) {
		done := make(chan struct{})
		for _, one := range renewed {
			one.renew <- done
		}
		for range renewed {
			<-done
		}
	})
	return http.ListenAndServe(controlAddress, nil)
}

func control(command string) (string, error) {
	answer, err := http.Get("http://" + controlAddress + "/" + command)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return string(body), err
}
