"""What must be true of a proxy before its figures count.

A gateway that skips a stage is faster. So the measured request has to come back whole, every stage
of the full gateway has to refuse a request made for it, and every answer has to be in the record.
"""

import time

import traffic
from rig.processes import BenchError

RECORD_SECONDS_MAX = 5
HOUR_MS = 3_600_000


def check_answer(name, port, fixture, body):
    """The measured request gets the backend's answer."""
    status, reason, answered = traffic.ask(port, traffic.head(traffic.headers(fixture.measured)))
    if status != 200:
        raise BenchError(f"{name} answers the measured request with {status} {reason}, not 200")
    if answered != body:
        raise BenchError(
            f"{name} answers with {len(answered)} bytes, not the backend's {len(body)}"
        )


def check_metrics(name, metrics_port):
    """The gateway counts, and shows it."""
    status, page = get(metrics_port, "/metrics")
    if status != 200 or not page:
        raise BenchError(f"{name} serves no metrics ({status})")


def check_refusals(name, port, fixture):
    """Every stage refuses what it is there to refuse, with its own status and reason."""
    for what, head, *expected in _refusals(fixture):
        status, reason, _body = traffic.ask(port, head)
        if status != expected[0] or reason not in (None, expected[1]):
            raise BenchError(
                f"{name} answers {what} with {status} {reason}, not {expected[0]} {expected[1]}: "
                "it would not be measured doing the whole work"
            )


def _refusals(fixture):
    head, headers = traffic.head, traffic.headers
    user, unrouted = fixture.measured, traffic.TARGET_UNROUTED
    unsigned = [field for field in headers(user) if not field[0].startswith("Scp-")]
    return [
        ("a flipped signature", head(headers(user, flip=True)), 401, "signature_mismatch"),
        ("no credential", head(unsigned), 401, "no_credential"),
        ("an hour-old signature", head(headers(user, age_ms=HOUR_MS)), 401, "clock_skew"),
        ("a client off the allowlist", head(headers(fixture.outsider)), 403, "key_address_refused"),
        (
            "a target without a route",
            head(headers(user, unrouted), unrouted),
            403,
            "no_action_definition",
        ),
        ("a user without a policy", head(headers(fixture.stranger)), 403, "implicit_deny"),
        ("a condition that fails", head(headers(fixture.misplaced)), 403, "implicit_deny"),
        ("a resource not granted", head(headers(fixture.mismatched)), 403, "implicit_deny"),
    ]


def get(port, path):
    """Status and body of a plain GET; status None when there is no answer."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    try:
        status, _reason, body = traffic.ask(port, head.encode())
    except BenchError:
        return None, b""
    return status, body


class Record:
    """The decision record: every answered request must become a line of it."""

    def __init__(self, path):
        self.path = path
        self.lines = 0
        self._expected = 0
        self._offset = 0

    def expect(self, requests):
        """Adds requests, and waits until at least so many lines are written."""
        self._expected += requests
        deadline = time.monotonic() + RECORD_SECONDS_MAX
        while self._read() < self._expected:
            if time.monotonic() > deadline:
                raise BenchError(
                    f"{self._expected} requests were answered, "
                    f"but the decision record has {self.lines} lines"
                )
            time.sleep(0.05)

    def _read(self):
        if self.path.exists():
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                while piece := file.read(1 << 20):
                    self.lines += piece.count(b"\n")
                    self._offset += len(piece)
        return self.lines
