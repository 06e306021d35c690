"""A feed of our own: it speaks to one gateway as a control plane does, with no store behind it."""

import hmac
import json
import socket
import threading
import time

from rig.digest import Digest

FORM = b"portcullis-feed-v1\n"
PATH = "/feed/v1"
HEARTBEAT_SECONDS = 1
CHUNK_BYTES = 256 << 10


class State:
    """All records, as texts by key; every commit changes it and is remembered."""

    def __init__(self, records):
        self.records, self.digest = dict(records), Digest()
        for key, record in self.records.items():
            self.digest.change(key, record, 1)
        self.epoch, self.head = time.time_ns() // 1_000_000, 1
        self.digests, self.commits = {self.head: str(self.digest)}, {}

    def commit(self, changes):
        """Changes records (`None` deletes one); returns the commit's line, whose time is still to be filled in."""
        parts = []
        for key, record in changes:
            if key in self.records:
                self.digest.change(key, self.records.pop(key), -1)
            if record is None:
                parts.append(f'{{"delete":"{key}"}}')
            else:
                self.digest.change(key, record, 1)
                self.records[key] = record
                parts.append(f'{{"put":"{key}","record":{record}}}')
        self.head += 1
        self.digests[self.head] = str(self.digest)
        line = f'"digest":"{self.digest}","changes":[{",".join(parts)}]}}'
        self.commits[self.head] = line
        return self.head

    def line(self, sequence):
        now = time.time_ns() // 1_000_000
        return f'{{"revision":{sequence},"time":{now},{self.commits[sequence]}'


class Speaker:
    """Listens; serves one stream at a time."""

    def __init__(self, port, key, state):
        self.key, self.state = key.encode(), state
        self.lock = threading.Lock()
        self.stream = self.mac = None
        self.asked = None
        self.socket = socket.create_server(("127.0.0.1", port))
        for work in (self.accept, self.beat):
            threading.Thread(target=work, daemon=True).start()

    def accept(self):
        while True:
            try:
                stream, _ = self.socket.accept()
            except OSError:
                return
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self.serve(stream)
            except (OSError, ValueError, KeyError):
                stream.close()

    def serve(self, stream):
        head = b""
        while b"\r\n\r\n" not in head:
            data = stream.recv(4096)
            if not data:
                raise ConnectionError("closed")
            head += data
        first, *lines = head.decode().split("\r\n")
        target = first.split(" ")[1]
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        nonce = fields["portcullis-feed-nonce"]
        with self.lock:
            self.asked = time.monotonic()
            self.mac = hmac.digest(self.key, FORM + f"{nonce}\n{target}".encode(), "sha256")
            stream.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            self.stream = stream
            self.begin(target)

    def begin(self, target):
        state = self.state
        after, _, digest = target.partition("?after=")[2].partition("&digest=")
        epoch, _, sequence = after.partition(".")
        known = after and int(epoch) == state.epoch and state.digests.get(int(sequence)) == digest
        mode = "changes" if known else "snapshot"
        hello = {"format": 1, "epoch": state.epoch, "head": state.head, "mode": mode}
        self.lines([json.dumps({"hello": hello})])
        if known:
            self.lines([state.line(number) for number in range(int(sequence) + 1, state.head + 1)])
            return
        self.lines(f'{{"put":"{key}","record":{record}}}' for key, record in state.records.items())
        end = {"revision": state.head, "records": len(state.records), "digest": str(state.digest)}
        self.lines([json.dumps({"end": end})])

    def lines(self, texts):
        """Sends lines; the lock is held."""
        waiting = bytearray()
        for text in texts:
            line = text.encode()
            self.mac = hmac.digest(self.key, self.mac + line, "sha256")
            waiting += self.mac[:16].hex().encode() + b" " + line + b"\n"
            if len(waiting) >= CHUNK_BYTES:
                self.chunk(waiting)
                waiting = bytearray()
        self.chunk(waiting)

    def chunk(self, data):
        if data and self.stream:
            try:
                self.stream.sendall(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            except OSError:
                self.stream = None

    def tell(self, sequences):
        """Sends commits, all at once; returns when that was."""
        with self.lock:
            texts = [self.state.line(sequence) for sequence in sequences]
            moment = time.monotonic_ns()
            self.lines(texts)
        return moment

    def beat(self):
        while self.socket.fileno() >= 0:
            time.sleep(HEARTBEAT_SECONDS)
            with self.lock:
                if self.stream:
                    self.lines([f'{{"head":{self.state.head}}}'])

    def close(self):
        """Ends the stream and listens no more."""
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        with self.lock:
            if self.stream:
                self.stream.close()
            self.stream = None
