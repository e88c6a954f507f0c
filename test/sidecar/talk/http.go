package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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

// talkHTTP1 asks twice over one connection. By hand: Go's transport opens another one, and hides how the first has ended, or where it was only slow to hand it back.
func talkHTTP1(ctx context.Context, open dial, address, payload string) (string, error) {
	connection, err := open(ctx, address)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	reader := bufio.NewReader(connection)
	return twice(func() (string, error) {
		request, err := newPost(ctx, address, payload)
		if err != nil {
			return "", err
		}
		if err := request.Write(connection); err != nil {
			return "", err
		}
		answer, err := http.ReadResponse(reader, request)
		if err == nil && answer.Close {
			err = errors.New("the server is about to end the connection")
		}
		return bodyOf(answer, err, 1)
	})
}

// talkHTTP2 asks twice over one connection: a transport of its own has no other.
func talkHTTP2(ctx context.Context, open dial, address, payload string) (string, error) {
	opened := 0
	transport := &http.Transport{
		Protocols: both(false, true),
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			if opened++; opened > 1 {
				return nil, errors.New("the connection was not kept")
			}
			return open(ctx, address)
		},
	}
	defer transport.CloseIdleConnections()
	return twice(func() (string, error) {
		request, err := newPost(ctx, address, payload)
		if err != nil {
			return "", err
		}
		answer, err := transport.RoundTrip(request)
		return bodyOf(answer, err, 2)
	})
}

func twice(ask func() (string, error)) (string, error) {
	first, err := ask()
	if err != nil {
		return "", err
	}
	second, err := ask()
	if err == nil && first != second {
		err = fmt.Errorf("%q, then %q", first, second)
	}
	return second, err
}

func newPost(ctx context.Context, address, payload string) (*http.Request, error) {
	return http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/", strings.NewReader(payload))
}

func bodyOf(answer *http.Response, err error, major int) (string, error) {
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && (answer.StatusCode != http.StatusOK || answer.ProtoMajor != major) {
		err = fmt.Errorf("%s %s", answer.Proto, answer.Status)
	}
	return string(body), err
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
