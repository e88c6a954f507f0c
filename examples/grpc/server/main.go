// Command server answers gRPC's own health service to every client that has a certificate of our authority, with the files of a mounted Secret. It
// never has to be restarted for a new certificate. It writes JSON lines: whenever it has loaded a certificate, a peer comes with a new one, or
// a handshake fails.
package main

import (
	"context"
	"crypto/x509"
	"flag"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/shop/mtls"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

var (
	logger     = slog.New(slog.NewJSONHandler(os.Stdout, nil))
	handshakes atomic.Int64
	failures   atomic.Int64
	peers      sync.Map // name of a peer → serial number of its certificate
)

func main() {
	directory := flag.String("certs", "/var/run/mtls", "where the Secret is mounted")
	address := flag.String("listen", ":8443", "address to serve on")
	only := flag.String("only", "", "name of the one client that may call (default: any of our authority)")
	age := flag.Duration("max-age", time.Hour, "how long a connection lives before the client has to make a new one")
	flag.Parse()
	if err := serve(*directory, *address, *only, *age); err != nil {
		logger.Error("cannot go on", "error", err.Error())
		os.Exit(1)
	}
}

func serve(directory, address, only string, age time.Duration) error {
	identity, err := mtls.Load(directory, func(leaf *x509.Certificate) {
		logger.Info("loaded", "serial", mtls.Serial(leaf), "notAfter", leaf.NotAfter)
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	guard := guard{only}
	server := grpc.NewServer(
		grpc.Creds(observed{credentials.NewTLS(identity.ServerConfig())}),
		// A connection lives on with the certificates of its handshake, also when these have expired. So it ends in time: calls on it finish, and the
		// client makes a new one by itself.
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: age, MaxConnectionAgeGrace: 30 * time.Second}),
		grpc.UnaryInterceptor(guard.unary),
		grpc.StreamInterceptor(guard.stream),
	)
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	logger.Info("serving", "address", listener.Addr().String())

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go count(ctx)
	go func() {
		<-ctx.Done()
		time.AfterFunc(2*time.Second, server.Stop)
		server.GracefulStop()
	}()
	if err := server.Serve(listener); err != nil {
		return err
	}
	logger.Info("count", "handshakes", handshakes.Load(), "failures", failures.Load())
	return nil
}

// TLS has proved who the peer is. Whether it may call is decided here, for every method.
type guard struct{ only string }

func (g guard) judge(ctx context.Context) error {
	caller, ok := peer.FromContext(ctx)
	if !ok {
		return status.Error(codes.Unauthenticated, "no peer")
	}
	info, ok := caller.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return status.Error(codes.Unauthenticated, "no certificate")
	}
	certificate := info.State.PeerCertificates[0]
	name, serial := mtls.Name(certificate), mtls.Serial(certificate)
	if g.only != "" && name != g.only {
		return status.Errorf(codes.PermissionDenied, "%s may not call", name)
	}
	if before, known := peers.Swap(name, serial); !known || before != serial {
		logger.Info("peer", "name", name, "serial", serial, "notAfter", certificate.NotAfter)
	}
	return nil
}

func (g guard) unary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := g.judge(ctx); err != nil {
		return nil, err
	}
	return handle(ctx, request)
}

func (g guard) stream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := g.judge(stream.Context()); err != nil {
		return err
	}
	return handle(service, stream)
}

// gRPC keeps failed handshakes to itself. Whoever watches this program wants to know of them.
type observed struct {
	credentials.TransportCredentials
}

func (o observed) ServerHandshake(connection net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := o.TransportCredentials.ServerHandshake(connection)
	if err != nil {
		failures.Add(1)
		logger.Error("failed", "error", err.Error())
	} else {
		handshakes.Add(1)
	}
	return secured, info, err
}

func (o observed) Clone() credentials.TransportCredentials {
	return observed{o.TransportCredentials.Clone()}
}

func count(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
			logger.Info("count", "handshakes", handshakes.Load(), "failures", failures.Load())
		}
	}
}
