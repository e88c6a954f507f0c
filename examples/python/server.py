"""Greets every client by the name in its certificate, over mutual TLS with the files of a mounted Secret.

Never has to be restarted for a new certificate. Writes JSON lines: whenever it has loaded a certificate, a peer comes with a new one, or a
handshake fails.

    python3 server.py --certs /var/run/mtls --listen :8443
"""

import argparse
import signal
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mtls import Identity, describe, log, name_of


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], identity: Identity):
        super().__init__(address, Greeter)
        self.identity = identity
        self.lock = threading.Lock()
        self.handshakes = 0
        self.failures = 0
        self.peers: dict[str, str] = {}  # name of a peer → serial number of its certificate

    def finish_request(self, request, client_address):
        # In the thread of this connection: a client that dawdles with its handshake holds up nobody else.
        request.settimeout(10)
        try:
            connection = self.identity.context().wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError) as error:
            with self.lock:
                self.failures += 1
            log("failed", error=str(error))
            return
        with connection:
            super().finish_request(connection, client_address)

    def count(self) -> None:
        log("count", handshakes=self.handshakes, failures=self.failures)


class Greeter(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        # TLS has proved who the peer is. Whether it may do what it asks for is decided here.
        peer = self.connection.getpeercert()
        name = name_of(peer)
        with self.server.lock:
            self.server.handshakes += 1
            known = self.server.peers.get(name) == peer["serialNumber"]
            self.server.peers[name] = peer["serialNumber"]
        if not known:
            log("peer", name=name, **describe(peer))
        body = f"hello {name}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--certs", default="/var/run/mtls", help="where the Secret is mounted")
    parser.add_argument("--listen", default=":8443", help="address to serve on")
    arguments = parser.parse_args()
    host, _, port = arguments.listen.rpartition(":")

    server = Server((host, int(port)), Identity(arguments.certs, ssl.Purpose.CLIENT_AUTH))
    log("serving", address="%s:%d" % server.server_address[:2])
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while not stopped.wait(1):
        server.count()
    server.shutdown()
    server.server_close()
    server.count()


if __name__ == "__main__":
    main()
