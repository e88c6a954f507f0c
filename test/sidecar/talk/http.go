package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"

	"golang.org/x/net/websocket"
)

// serveHTTP speaks HTTP/1.1, HTTP/2 to whoever knows of it before, and WebSocket.
func serveHTTP(listener net.Listener) error {
	routes := http.NewServeMux()
	// Without a check of the origin, which programs do not send.
	routes.Handle("/websocket", websocket.Server{Handler: func(connection *websocket.Conn) {
		var text string
		for websocket.Message.Receive(connection, &text) == nil {
			websocket.Message.Send(connection, heard(text))
		}
	}})
	routes.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err == nil {
			fmt.Fprint(answer, heard(string(body)))
		}
	})
	server := http.Server{Handler: routes, Protocols: both(true, true)}
	return server.Serve(listener)
}

func both(http1, http2 bool) *http.Protocols {
	var protocols http.Protocols
	protocols.SetHTTP1(http1)
	protocols.SetUnencryptedHTTP2(http2)
	return &protocols
}

func talkHTTP1(ctx context.Context, open dial, address, payload string) (string, error) {
	return twice(ctx, open, address, payload, both(true, false), 1)
}

func talkHTTP2(ctx context.Context, open dial, address, payload string) (string, error) {
	return twice(ctx, open, address, payload, both(false, true), 2)
}

// twice asks over one connection: it has to be kept in between.
func twice(ctx context.Context, open dial, address, payload string, protocols *http.Protocols, major int) (string, error) {
	transport := &http.Transport{
		Protocols:   protocols,
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) { return open(ctx, address) },
	}
	defer transport.CloseIdleConnections()
	first, err := post(ctx, transport, address, payload, major, false)
	if err != nil {
		return "", err
	}
	second, err := post(ctx, transport, address, payload, major, true)
	if err == nil && first != second {
		return "", fmt.Errorf("%q, then %q", first, second)
	}
	return second, err
}

func post(ctx context.Context, transport *http.Transport, address, payload string, major int, kept bool) (string, error) {
	reused := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/", strings.NewReader(payload))
	if err != nil {
		return "", err
	}
	// By the transport alone: a client would dial again, and hide how the first connection has ended.
	request.GetBody = nil
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return "", err
	case answer.StatusCode != http.StatusOK || answer.ProtoMajor != major:
		return "", fmt.Errorf("%s %s", answer.Proto, answer.Status)
	case reused != kept:
		return "", fmt.Errorf("the connection was not kept")
	}
	return string(body), nil
}

func talkWebSocket(ctx context.Context, open dial, address, payload string) (string, error) {
	config, err := websocket.NewConfig("ws://"+address+"/websocket", "http://"+address)
	if err != nil {
		return "", err
	}
	connection, err := open(ctx, address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	socket, err := websocket.NewClient(config, connection)
	if err != nil {
		return "", err
	}
	var answer string
	if err := websocket.Message.Send(socket, payload); err != nil {
		return "", err
	}
	err = websocket.Message.Receive(socket, &answer)
	return answer, err
}
