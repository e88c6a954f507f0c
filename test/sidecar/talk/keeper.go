package main

import (
	"context"
	"fmt"
	"net"
	"time"
)

// keeper talks over one connection for as long as it lasts, and opens another when it was cut.
type keeper struct {
	protocol
	url, sort, address string
	said               *report
	// Told to open another one: it answers when that talks.
	renew chan chan struct{}
}

func (one *keeper) run(stop context.Context) {
	var renewed chan struct{}
	for stop.Err() == nil {
		renewed = one.converse(stop, renewed)
	}
}

// converse opens a connection and talks until it is cut, or until another is wanted: then it returns who waits for that.
func (one *keeper) converse(stop context.Context, waiting chan struct{}) chan struct{} {
	name := one.sort + " " + one.url
	opened := time.Now()
	// Not of the context that ends everything: what is being said is finished.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var connection *observed
	patiently := func() { connection.SetDeadline(time.Now().Add(patience)) }
	conversation, err := one.keep(ctx, func(ctx context.Context, address string) (net.Conn, error) {
		seen, err := observe(ctx, address)
		if err != nil {
			return nil, err
		}
		connection = seen
		patiently()
		return seen, nil
	}, one.address)
	if err != nil {
		one.said.talked(name, opened, err)
		wait(stop)
		return waiting
	}
	defer conversation.close()
	for any := false; stop.Err() == nil; any = true {
		patiently()
		answer, err := conversation.say(name)
		if err == nil && answer != heard(name) {
			err = fmt.Errorf("answered with %q", answer)
		}
		switch {
		// A connection that never said anything was not there.
		case err != nil && !any:
			one.said.talked(name, opened, err)
			wait(stop)
			return waiting
		case err != nil:
			one.said.note(event{"cut", name, opened, time.Now(), err.Error()})
			return waiting
		}
		one.said.talked(name, opened, nil)
		if waiting != nil {
			waiting <- struct{}{}
			waiting = nil
		}
		select {
		case <-stop.Done():
		case waiting = <-one.renew:
			return waiting
		case <-time.After(pause):
		}
	}
	return nil
}
