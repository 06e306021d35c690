"""People who ask without a pause: a revision must decide always the same way, for both of a pair, and as the writes say."""

import threading
import time

from rig.client import Connection, Credential, Cut, Unsent
from rig.product import STUB_HOST, parse_revision
from writers import Worker

TARGET = "/v1/groups"
PAUSE_SECONDS = 0.004
RETRY_SECONDS = 0.02


class Pair:
    """Two people with one right, or without. Between two accepted writes it is known which."""

    def __init__(self, number, policy, people):
        self.number, self.policy, self.people = number, policy, people
        self.lock = threading.Lock()
        # Stretches of revisions, from one to before another, in which the right is there or not.
        self.stretches = []
        self.last = None
        self.decided = {}

    def known(self, revision, allowed):
        """A write became this revision: before it, back to the write before, all was as that one left it."""
        with self.lock:
            if self.last:
                first, before = self.last
                self.stretches.append((first, revision, before))
            self.last = (revision, allowed)

    def unknown(self):
        """A write may have been made at any revision from now on."""
        with self.lock:
            self.last = None


class Person:
    """Somebody with a key."""

    def __init__(self, api, name):
        self.id = api.user(name)
        key = api.key(self.id)
        self.credential = Credential(key["access_key"], key["secret_key"])


class Prober(Worker):
    """Asks for both of a pair in turns."""

    def __init__(self, product, record, seed, pair):
        super().__init__(product, record, seed)
        self.pair, self.turn = pair, 0
        self.connections = [Connection(product.ports.gateway, STUB_HOST) for _ in pair.people]

    def step(self):
        self.turn ^= 1
        person, connection = self.pair.people[self.turn], self.connections[self.turn]
        floor = self.record.served.now()
        try:
            answer = connection.ask("GET", TARGET, person.credential)
        except (Cut, Unsent):
            self.record.count("probes without an answer")
            time.sleep(RETRY_SECONDS)
            return
        shown = answer.headers.get("portcullis-revision")
        if answer.status not in (200, 403) or shown is None:
            self.record.count(f"probes answered {answer.status} {answer.reason}")
            if answer.status != 503:
                self.record.violation(f"a probe was answered {answer.describe()}")
            time.sleep(RETRY_SECONDS)
            return
        self.decided(parse_revision(shown), answer.status == 200, floor)
        time.sleep(PAUSE_SECONDS)

    def decided(self, revision, allowed, floor):
        self.record.served_by(floor, revision, "a probe")
        self.record.count("probes decided")
        known = self.pair.decided.setdefault(revision, allowed)
        if known != allowed:
            self.record.violation(f"{revision} allows one of a pair and refuses the other, or both in turns")

    def verify(self):
        """Every decision is the one that the writes around its revision made."""
        pair = self.pair
        stretches = sorted(pair.stretches)
        place = 0
        for revision, allowed in sorted(pair.decided.items()):
            while place < len(stretches) and stretches[place][1] <= revision:
                place += 1
            if place == len(stretches) or revision < stretches[place][0]:
                continue
            self.record.count("decisions compared with the writes")
            if allowed != stretches[place][2]:
                self.record.violation(f"{revision} decides {allowed}; the writes of {stretches[place][:2]} say otherwise")
