"""What all threads of the run know together: revisions seen, digests seen, counts, and what must not be."""

import collections
import threading
import time

VIOLATIONS_SHOWN = 20


class Floor:
    """A value that must never go down, whoever looks."""

    def __init__(self):
        self.value, self.lock = (0, 0), threading.Lock()

    def now(self):
        with self.lock:
            return self.value

    def raise_to(self, value):
        with self.lock:
            self.value = max(self.value, value)


class Record:
    """The run so far."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.Counter()
        self.violations = []
        self.began = time.monotonic()
        # The highest revision that an answer was decided by, and the highest that a write became.
        self.served, self.committed = Floor(), Floor()
        self.digests = {}
        self.accepted = set()
        self.decided_at = None
        self.longest_silence = 0.0
        # How often the control plane was started: what an earlier one was doing is over.
        self.generation = 0
        self.stop = threading.Event()

    def count(self, what, more=1):
        with self.lock:
            self.counts[what] += more

    def violation(self, text):
        with self.lock:
            self.violations.append(f"after {time.monotonic() - self.began:.1f} s: {text}")
            if len(self.violations) <= VIOLATIONS_SHOWN:
                print("VIOLATION", self.violations[-1], flush=True)

    def served_by(self, floor, revision, what):
        """An answer, asked for when `floor` had been served already, was decided by this revision."""
        if revision < floor:
            self.violation(f"{what} was decided by {revision} after {floor} had been served")
        self.served.raise_to(revision)
        moment = time.monotonic()
        with self.lock:
            if self.decided_at is not None:
                self.longest_silence = max(self.longest_silence, moment - self.decided_at)
            self.decided_at = moment

    def accepted_as(self, floor, revision, what):
        """A write, sent when `floor` had been committed already, became this revision."""
        if revision <= floor:
            self.violation(f"{what} became {revision}, and {floor} was committed before")
        self.committed.raise_to(revision)
        with self.lock:
            if revision in self.accepted:
                self.violations.append(f"{what} became {revision}, as another write did")
            self.accepted.add(revision)

    def digest(self, revision, digest, where):
        """Somebody shows this digest at this revision."""
        with self.lock:
            known = self.digests.setdefault(revision, digest)
        if known != digest:
            self.violation(f"{where} has the digest {digest} at {revision}, and {known} was seen there")
