"""Makes a new connection to a server again and again, over mutual TLS with the files of a mounted Secret.

Never has to be restarted for a new certificate. Writes JSON lines: whenever it has loaded a certificate, the server comes with a new one, or
a connection fails. Ends with code 1 if any failed.

    python3 client.py --certs /var/run/mtls --connect web.shop.svc:8443
"""

import argparse
import signal
import socket
import ssl
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException

from mtls import Identity, describe, log, name_of


def greet(identity: Identity, host: str, port: int, server_name: str) -> dict:
    """Makes one connection; returns the server's certificate."""
    with socket.create_connection((host, port), timeout=10) as plain:
        with identity.context().wrap_socket(plain, server_hostname=server_name) as connection:
            peer = connection.getpeercert()
            http = HTTPConnection(server_name)
            http.sock = connection
            http.request("GET", "/", headers={"Connection": "close"})
            response = http.getresponse()
            response.read()
            if response.status != 200:
                raise HTTPException(f"the server answered {response.status}")
            return peer


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--certs", default="/var/run/mtls", help="where the Secret is mounted")
    parser.add_argument("--connect", default="web.shop.svc:8443", help="host and port of the server")
    parser.add_argument("--server-name", help="name that must stand in the server's certificate (default: the host)")
    parser.add_argument("--every", type=int, default=100, help="milliseconds between two connections")
    parser.add_argument("--times", type=int, default=0, help="end after so many connections (default: never)")
    arguments = parser.parse_args()
    host, _, port = arguments.connect.rpartition(":")

    identity = Identity(arguments.certs, ssl.Purpose.SERVER_AUTH)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())  # between two connections, so that none is broken off
    handshakes = failures = done = 0
    serial = None
    reported = time.monotonic()
    while arguments.times == 0 or done < arguments.times:
        done += 1
        try:
            peer = greet(identity, host, int(port), arguments.server_name or host)
            handshakes += 1
            if peer["serialNumber"] != serial:
                serial = peer["serialNumber"]
                log("peer", name=name_of(peer), **describe(peer))
        except (OSError, ssl.SSLError, HTTPException) as error:
            failures += 1
            log("failed", error=str(error))
        if time.monotonic() - reported >= 1:
            log("count", handshakes=handshakes, failures=failures)
            reported = time.monotonic()
        if stopped.wait(arguments.every / 1000):
            break
    log("count", handshakes=handshakes, failures=failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
