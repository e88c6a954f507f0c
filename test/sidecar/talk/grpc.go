package main

import (
	"context"
	"errors"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const streamName = "/talk.Talk/Stream"

// Written by hand: a stream of strings in both directions needs no compiler of its own.
var talkService = grpc.ServiceDesc{
	ServiceName: "talk.Talk",
	HandlerType: (*any)(nil),
	Streams: []grpc.StreamDesc{{
		StreamName:    "Stream",
		ServerStreams: true,
		ClientStreams: true,
		Handler: func(_ any, stream grpc.ServerStream) error {
			for {
				var message wrapperspb.StringValue
				if err := stream.RecvMsg(&message); err != nil {
					if errors.Is(err, io.EOF) {
						return nil
					}
					return err
				}
				if err := stream.SendMsg(wrapperspb.String(heard(message.Value))); err != nil {
					return err
				}
			}
		},
	}},
}

func serveGRPC(listener net.Listener) error {
	server := grpc.NewServer()
	server.RegisterService(&talkService, nil)
	// What kubelet asks by gRPC.
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	return server.Serve(listener)
}

func keepGRPC(ctx context.Context, open dial, address string) (conversation, error) {
	return openGRPC(ctx, open, address)
}

func talkGRPC(ctx context.Context, open dial, address, payload string) (string, error) {
	conversation, err := openGRPC(ctx, open, address)
	if err != nil {
		return "", err
	}
	defer conversation.close()
	answer, err := conversation.say(payload)
	if err != nil {
		return "", err
	}
	// With its trailers the server says that all is well.
	if err := conversation.stream.CloseSend(); err != nil {
		return "", err
	}
	if err := conversation.stream.RecvMsg(&wrapperspb.StringValue{}); !errors.Is(err, io.EOF) {
		return "", errors.Join(errors.New("the stream did not end well"), err)
	}
	return answer, nil
}

type grpcConversation struct {
	client *grpc.ClientConn
	stream grpc.ClientStream
}

// openGRPC opens one connection with one stream; what it waits for ends with the context.
func openGRPC(ctx context.Context, open dial, address string) (*grpcConversation, error) {
	client, err := grpc.NewClient("passthrough:///"+address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithContextDialer(open),
	)
	if err != nil {
		return nil, err
	}
	stream, err := client.NewStream(ctx, &talkService.Streams[0], streamName)
	if err != nil {
		client.Close()
		return nil, err
	}
	return &grpcConversation{client, stream}, nil
}

func (one *grpcConversation) say(payload string) (string, error) {
	if err := one.stream.SendMsg(wrapperspb.String(payload)); err != nil {
		return "", err
	}
	var answer wrapperspb.StringValue
	err := one.stream.RecvMsg(&answer)
	return answer.Value, err
}

func (one *grpcConversation) close() { one.client.Close() }
