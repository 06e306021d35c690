"""A client: HTTP/1.1 on one persistent connection, requests signed as SCP v2 clients sign, or vouched for as gateways do.

Raw sockets: what is measured is the product, and http.client costs more than the gateway does.
"""

import base64
import dataclasses
import hmac
import json
import os
import socket
import time

ANSWER_SECONDS_MAX = 10
READ_BYTES = 64 << 10
CLIENT_TYPE = "Openapi"


class Unsent(Exception):
    """No connection: the request has reached nobody."""


class Cut(Exception):
    """The connection ended before the whole answer: what became of the request is not known."""


@dataclasses.dataclass(frozen=True)
class Credential:
    """An access key and its secret."""

    access_key: str
    secret: str

    def sign(self, method, host, target):
        """The headers of a request signed now."""
        moment = str(time.time_ns() // 1_000_000)
        text = f"{method}http://{host}{target}{moment}{self.access_key}{CLIENT_TYPE}"
        mac = hmac.digest(self.secret.encode(), text.encode(), "sha256")
        return (
            f"Host: {host}\r\nScp-Accesskey: {self.access_key}\r\nScp-Timestamp: {moment}\r\n"
            f"Scp-ClientType: {CLIENT_TYPE}\r\nScp-Signature: {base64.b64encode(mac).decode()}\r\n"
        )


@dataclasses.dataclass(frozen=True)
class Gateway:
    """Vouches for a user, as a gateway does to the API behind it."""

    identity_key: str
    account: str
    user: str
    access_key: str

    def sign(self, method, host, target):
        """The headers of a request that the gateway has let pass now."""
        principal = f"srn:e::{self.account}:::scp-iam:user/{self.user}"
        request_id, moment = os.urandom(16).hex(), str(time.time_ns() // 1_000_000)
        caller = [method, target, principal, self.account]
        facts = {"type": "AuthenticationKey", "key": self.access_key, "mfa": "false", "address": "127.0.0.1"}
        lines = ["portcullis-v2", *caller, *facts.values(), request_id, moment]
        mac = hmac.digest(self.identity_key.encode(), "\n".join(lines).encode(), "sha256")
        signature = base64.urlsafe_b64encode(mac).decode().rstrip("=")
        said = ";".join(f"{name}={value}" for name, value in facts.items())
        return (
            f"Host: {host}\r\nPortcullis-Principal: {principal}\r\n"
            f"Portcullis-Account: {self.account}\r\nPortcullis-Request-Id: {request_id}\r\n"
            f"Portcullis-Assertion: v2;time={moment};{said};signature={signature}\r\n"
        )


@dataclasses.dataclass(frozen=True)
class Answer:
    """An answer, and when it was asked for and there (nanoseconds of the monotonic clock)."""

    status: int
    headers: dict
    body: bytes
    began: int
    ended: int

    def json(self):
        return json.loads(self.body)

    @property
    def good(self):
        return 200 <= self.status < 300

    @property
    def reason(self):
        return self.headers.get("portcullis-reason", "")

    def describe(self):
        return f"{self.status} {self.reason} {self.body[:400].decode(errors='replace')}"


class Connection:
    """A persistent connection to a port of this machine; connects when it has to."""

    def __init__(self, port, host=None, seconds=ANSWER_SECONDS_MAX):
        self.port, self.seconds = port, seconds
        self.host = host or f"127.0.0.1:{port}"
        self.stream, self.read_ahead = None, b""

    def ask(self, method, target, signer=None, body=None, headers=""):
        """Sends a request, waits for the whole answer."""
        signed = signer.sign(method, self.host, target) if signer else f"Host: {self.host}\r\n"
        head = f"{method} {target} HTTP/1.1\r\n{signed}{headers}"
        if body is not None:
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.connect()
        message = head.encode() + b"\r\n" + (body or b"")
        began = time.monotonic_ns()
        try:
            self.stream.sendall(message)
            status, fields, answered = self.read(method)
        except (OSError, ValueError, IndexError) as error:
            self.close()
            raise Cut(repr(error)) from error
        ended = time.monotonic_ns()
        if fields.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, fields, answered, began, ended)

    def connect(self):
        if self.stream is None:
            try:
                self.stream = socket.create_connection(("127.0.0.1", self.port), self.seconds)
            except OSError as error:
                raise Unsent(repr(error)) from error
            self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        if self.stream is not None:
            self.stream.close()
        self.stream, self.read_ahead = None, b""

    def read(self, method):
        while (end := self.read_ahead.find(b"\r\n\r\n")) < 0:
            self.more()
        head, self.read_ahead = self.read_ahead[:end].decode("latin-1"), self.read_ahead[end + 4 :]
        first, *lines = head.split("\r\n")
        fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        status = int(first.split(" ", 2)[1])
        if method == "HEAD" or status == 204:
            return status, fields, b""
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return status, fields, self.chunks()
        return status, fields, self.take(int(fields.get("content-length", "0")))

    def more(self):
        data = self.stream.recv(READ_BYTES)
        if not data:
            raise ConnectionError("closed")
        self.read_ahead += data

    def take(self, count):
        while len(self.read_ahead) < count:
            self.more()
        taken, self.read_ahead = self.read_ahead[:count], self.read_ahead[count:]
        return taken

    def chunks(self):
        body = b""
        while True:
            while (end := self.read_ahead.find(b"\r\n")) < 0:
                self.more()
            size = int(self.take(end + 2)[:-2].split(b";")[0], 16)
            body += self.take(size)
            self.take(2)
            if size == 0:
                return body


def get(port, target, seconds=5):
    """One unsigned GET; `None` when there is no answer."""
    connection = Connection(port, seconds=seconds)
    try:
        return connection.ask("GET", target)
    except (Unsent, Cut):
        return None
    finally:
        connection.close()
