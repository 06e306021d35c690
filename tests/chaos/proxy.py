"""Stands between gateway and feed, and spoils what passes: cuts, delays, duplicates, truncations, changed bytes, silence."""

import contextlib
import socket
import struct
import threading
import time

READ_BYTES = 16 << 10
HEAD_BYTES_MAX = 4096
CUT_WITHIN_BYTES = 20_000
DELAY_SECONDS_MAX = 0.5
# Longer than the gateway waits for a sign of life.
SILENCE_SECONDS_MAX = 7
SPELL_SECONDS_MAX = 3
FAULTS = ("cut", "cut_later", "truncate", "duplicate", "flip", "delay", "silence", "refuse")
ONCE = ("truncate", "duplicate", "flip")


class Proxy:
    """Listens on one port, forwards to another. Its random numbers are the caller's: faults are made in one thread."""

    def __init__(self, port, target, random):
        self.target, self.random = target, random
        self.lock = threading.Lock()
        self.pairs, self.once, self.left = set(), [], None
        self.spells = {"delay": 0.0, "silence": 0.0, "refuse": 0.0}
        self.pause = 0.0
        self.counts = dict.fromkeys((*FAULTS, "streams", "by changes", "with a whole state"), 0)
        self.socket = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def fault(self):
        """Something goes wrong from now on; says what."""
        kind, random = self.random.choice(FAULTS), self.random
        with self.lock:
            if kind == "cut":
                self.count(kind)
                self.cut_all()
            elif kind == "cut_later":
                self.left = random.randrange(CUT_WITHIN_BYTES)
            elif kind in ONCE:
                self.once.append((kind, random.random(), random.randrange(8)))
            else:
                self.count(kind)
                most = SILENCE_SECONDS_MAX if kind == "silence" else SPELL_SECONDS_MAX
                self.spells[kind] = time.monotonic() + random.uniform(0.1, most)
                self.pause = random.uniform(0.01, DELAY_SECONDS_MAX)
        return kind

    def heal(self):
        """From now on nothing is spoiled."""
        with self.lock:
            self.once, self.left = [], None
            self.spells = dict.fromkeys(self.spells, 0.0)

    def count(self, what):
        self.counts[what] += 1

    def cut_all(self):
        for pair in list(self.pairs):
            for end in pair:
                reset(end)
        self.pairs.clear()

    def lasts(self, spell):
        return time.monotonic() < self.spells[spell]

    def accept(self):
        while True:
            near, _ = self.socket.accept()
            with self.lock:
                refused = self.lasts("refuse")
            try:
                far = None if refused else socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                far = None
            if far is None:
                reset(near)
                continue
            far.settimeout(None)
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.pairs.add((near, far))
                self.count("streams")
            for work in (self.up, self.down):
                threading.Thread(target=work, args=[near, far], daemon=True).start()

    def up(self, near, far):
        self.pump(near, far, near, far, lambda data: far.sendall(data))

    def down(self, near, far):
        head = bytearray()

        def pass_on(data):
            if len(head) < HEAD_BYTES_MAX:
                head.extend(data)
                for mode, what in ((b"changes", "by changes"), (b"snapshot", "with a whole state")):
                    if b'"mode":"' + mode in head:
                        self.count(what)
                        head.extend(bytes(HEAD_BYTES_MAX))
            self.spoil(near, far, data)

        self.pump(far, near, near, far, pass_on)

    def pump(self, source, _sink, near, far, pass_on):
        with contextlib.suppress(OSError):
            while data := source.recv(READ_BYTES):
                pass_on(data)
        with self.lock:
            self.pairs.discard((near, far))
        for end in (near, far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def spoil(self, near, far, data):
        while True:
            with self.lock:
                silent, pause = self.lasts("silence"), self.pause if self.lasts("delay") else 0.0
            if not silent:
                break
            time.sleep(0.02)
        time.sleep(pause)
        with self.lock:
            once = self.once.pop(0) if self.once else None
            cut = self.left is not None and self.left <= len(data)
            if cut:
                data, self.left = data[: self.left], None
                self.count("cut_later")
            elif self.left is not None:
                self.left -= len(data)
            if once:
                data = spoiled(data, *once)
                self.count(once[0])
        near.sendall(data)
        if cut:
            reset(near)
            reset(far)
            raise OSError("cut")


def spoiled(data, kind, share, bit):
    place = int(share * len(data))
    match kind:
        case "truncate":
            return data[:place]
        case "duplicate":
            return data + data[place:]
        case _:
            return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :] if data else data


def reset(end):
    """Ends a connection without a farewell, what is still on its way included."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    end.close()
