"""Keeps a program's certificate, key and roots as fresh as the Secret that is mounted into its pod."""

import json
import os
import ssl
import sys
import threading
import time
from datetime import datetime, timezone
from typing import Callable


class Identity:
    """Who this program is to its peers, and whom it trusts: `context()` for each new connection. Safe for threads.

    The files are looked at when a connection is made, at most once a second. A context is made anew for every change, since one that has
    trusted a root would go on trusting it.
    """

    def __init__(
        self,
        directory: str,
        purpose: ssl.Purpose,
        prepare: Callable[[ssl.SSLContext], None] = lambda context: None,
    ):
        """`prepare` is given each new context before anybody uses it."""
        self._directory = directory
        self._purpose = purpose
        self._prepare = prepare
        self._lock = threading.Lock()
        self._files: list[bytes] = []
        self._looked = 0.0
        self._read()

    def context(self) -> ssl.SSLContext:
        """What the Secret holds now. Files that do not fit together change nothing: the next connection looks again."""
        with self._lock:
            if time.monotonic() - self._looked >= 1:
                try:
                    self._read()
                except (OSError, ssl.SSLError):
                    pass
            return self._context

    def _read(self) -> None:
        self._looked = time.monotonic()
        # The kubelet writes a new directory and then points the link ..data to it. Resolved once, so that all files are of one certificate.
        data = os.path.join(self._directory, "..data")
        directory = os.path.realpath(data) if os.path.islink(data) else self._directory
        paths = [os.path.join(directory, name) for name in ("tls.crt", "tls.key", "ca.crt")]
        files = []
        for path in paths:
            with open(path, "rb") as file:
                files.append(file.read())
        if files == self._files:
            return
        certificate, key, roots = paths
        # Purpose.SERVER_AUTH is for clients: they verify the server and its name. Purpose.CLIENT_AUTH is for servers.
        context = ssl.create_default_context(self._purpose, cafile=roots)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        # A peer without a certificate that our roots vouch for gets no connection.
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(certificate, key)  # also checks that they belong together
        if self._purpose is ssl.Purpose.CLIENT_AUTH:
            # A resumed session would carry on with a certificate that may have expired since.
            context.num_tickets = 0
        self._prepare(context)
        self._context = context
        self._files = files
        log("loaded")


def name_of(certificate: dict) -> str:
    """Who a verified peer is: its SPIFFE ID, else its first DNS name, else its subject."""
    names = certificate.get("subjectAltName", ())
    for wanted in ("URI", "DNS"):
        for kind, value in names:
            if kind == wanted:
                return value
    return str(certificate.get("subject"))


def describe(certificate: dict) -> dict:
    """What the log says about a certificate."""
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), timezone.utc)
    return {"serial": certificate["serialNumber"], "notAfter": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}


def log(msg: str, **fields: object) -> None:
    """Writes one JSON line."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    sys.stdout.write(json.dumps({"time": now, "msg": msg, **fields}) + "\n")
    sys.stdout.flush()
