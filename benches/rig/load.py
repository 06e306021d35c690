#!/usr/bin/env python3
"""Signed requests to a gateway at a bounded rate, until SIGTERM; then what became of them, as JSON.

Reads from a file: port, host, target, rate, connections, and the credentials that take turns.
"""

import json
import pathlib
import signal
import sys
import threading
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))

from rig.client import Connection, Credential, Cut, Unsent

PAUSE_SECONDS = 0.05
LATENCIES_MAX = 100_000


class Load:
    """All connections and what they count."""

    def __init__(self, order):
        self.order, self.stop = order, threading.Event()
        self.statuses, self.failed, self.latencies = {}, 0, []
        self.lock = threading.Lock()

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: self.stop.set())
        threads = [
            threading.Thread(target=self.connection, args=[number])
            for number in range(self.order["connections"])
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        while not self.stop.wait(1):
            pass
        for thread in threads:
            thread.join()
        latencies = sorted(self.latencies) or [0]
        print(
            json.dumps(
                {
                    "seconds": time.monotonic() - began,
                    "statuses": self.statuses,
                    "failed": self.failed,
                    "p50_ms": latencies[len(latencies) // 2] / 1e6,
                    "p99_ms": latencies[len(latencies) * 99 // 100] / 1e6,
                }
            )
        )

    def connection(self, number):
        order = self.order
        connection = Connection(order["port"], order["host"])
        credentials = [Credential(*pair) for pair in order["credentials"]]
        interval = order["connections"] / order["rate"]
        due = time.monotonic() + interval * number / order["connections"]
        while not self.stop.is_set():
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            # Whoever is late does not catch up: the rate is an upper bound.
            due = max(due, time.monotonic() - interval) + interval
            number += 1
            try:
                answer = connection.ask("GET", order["target"], credentials[number % len(credentials)])
            except (Cut, Unsent):
                with self.lock:
                    self.failed += 1
                time.sleep(PAUSE_SECONDS)
                continue
            with self.lock:
                self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
                if len(self.latencies) < LATENCIES_MAX:
                    self.latencies.append(answer.ended - answer.began)


if __name__ == "__main__":
    Load(json.loads(pathlib.Path(sys.argv[1]).read_text())).run()
