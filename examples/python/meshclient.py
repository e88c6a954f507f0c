"""Has no sidecar and asks a pod that has one, over mutual TLS with the files of a mounted Secret.

Writes JSON lines: whenever it has loaded a certificate, is answered, or a request fails. Ends with code 1 if any failed.

    python3 meshclient.py --certs /var/run/mtls --connect web.shop.svc:8080 --server spiffe://cluster.local/ns/shop/sa/web
"""

import argparse
import socket
import ssl
import sys
import time
from http.client import HTTPConnection, HTTPException

from mtls import Identity, log


def join_mesh(context: ssl.SSLContext) -> None:
    # By this marker a sidecar tells the mesh's mutual TLS from TLS of the application behind it. It selects no protocol.
    context.set_alpn_protocols(["mtls-operator"])
    leave_names(context)


def leave_names(context: ssl.SSLContext) -> None:
    # Certificates of sidecars have no DNS names. That our roots vouch for the server is verified all the same.
    context.check_hostname = False


def connect(identity: Identity, host: str, port: int, server: str) -> ssl.SSLSocket:
    plain = socket.create_connection((host, port), timeout=10)
    # SNI goes over the wire in the clear: it is the same for all servers, and no name to verify any by.
    connection = identity.context().wrap_socket(plain, server_hostname="mesh")
    # Before anything is sent.
    uris = [value for kind, value in connection.getpeercert().get("subjectAltName", ()) if kind == "URI"]
    if uris != [server]:
        connection.close()
        raise ssl.SSLCertVerificationError(f"the certificate of the server is for {uris}, not for {server}")
    return connection


def ask(identity: Identity, address: str, server: str, path: str) -> dict:
    host, _, port = address.rpartition(":")
    with connect(identity, host, int(port), server) as connection:
        http = HTTPConnection(address)
        http.sock = connection
        http.request("GET", path, headers={"Connection": "close"})
        response = http.getresponse()
        return {"status": response.status, "body": response.read().decode()}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--certs", default="/var/run/mtls", help="where the Secret is mounted")
    parser.add_argument("--connect", default="web.shop.svc:8080", help="host and port of the server")
    parser.add_argument("--server", default="spiffe://cluster.local/ns/shop/sa/web", help="who the server has to be")
    parser.add_argument("--path", default="/", help="what to ask for")
    parser.add_argument("--unmarked", action="store_true", help="leave out the marker, as clients do that know nothing of the mesh")
    parser.add_argument("--every", type=int, default=100, help="milliseconds between two requests")
    parser.add_argument("--times", type=int, default=1, help="end after so many requests; 0: never")
    arguments = parser.parse_args()

    prepare = leave_names if arguments.unmarked else join_mesh
    identity = Identity(arguments.certs, ssl.Purpose.SERVER_AUTH, prepare)
    failures = done = 0
    while arguments.times == 0 or done < arguments.times:
        if done > 0:
            time.sleep(arguments.every / 1000)
        done += 1
        try:
            log("answer", **ask(identity, arguments.connect, arguments.server, arguments.path))
        except (OSError, HTTPException) as error:
            failures += 1
            log("failed", error=str(error))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
