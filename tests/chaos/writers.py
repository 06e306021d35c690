"""Threads that write, through the gateway or straight at the API, and know what everything has to be afterwards."""

import random
import threading
import time

from rig.api import COMMITTED, group_body
from rig.client import Connection, Cut, Unsent
from rig.product import parse_revision

PAUSE_SECONDS_MAX = 0.03
# What an earlier request may still be doing is done after this long, unless the control plane was killed anyway.
SETTLED_SECONDS = 12
READ_SECONDS_MAX = 30
DIRECT_SHARE = 0.2
DOWN_PAUSE_SECONDS = 0.1
# Refused by the gateway itself: nothing was forwarded.
NOT_FORWARDED = ("stale_snapshot", "revision_not_reached")

ACCEPTED, REFUSED, UNKNOWN, UNSENT = "accepted", "refused", "unknown", "unsent"


class Caller:
    """The administrator on two connections: through the gateway, and straight at the API as the gateway would."""

    def __init__(self, product, record, seed):
        self.product, self.record, self.random = product, record, random.Random(seed)
        self.gateway = Connection(product.ports.gateway)
        self.api = Connection(product.ports.api)

    def ask(self, method, target, body=None, direct=False):
        """An answer, whoever gives it. A revision that decided it must not be older than one seen before."""
        if direct:
            return self.api.ask(method, target, self.product.administrator_vouched(), body)
        floor = self.record.served.now()
        answer = self.gateway.ask(method, target, self.product.credential, body)
        if shown := answer.headers.get("portcullis-revision"):
            self.record.served_by(floor, parse_revision(shown), f"{method} {target}")
        return answer

    def write(self, method, target, body):
        """Sends a write; returns what became of it, and the answer if there is one."""
        direct = self.random.random() < DIRECT_SHARE
        generation, floor = self.record.generation, self.record.committed.now()
        try:
            answer = self.ask(method, target, body, direct)
        except Unsent:
            try:
                answer = self.ask(method, target, body, not direct)
            except Unsent:
                time.sleep(DOWN_PAUSE_SECONDS)
                return UNSENT, None
            except Cut:
                return UNKNOWN, None
        except Cut:
            return UNKNOWN, None
        if answer.good:
            revision = parse_revision(answer.headers.get(COMMITTED, "0.0"))
            self.record.accepted_as(floor, revision, f"{method} {target}")
            return ACCEPTED, answer
        if answer.reason in NOT_FORWARDED:
            return UNSENT, None
        if answer.status >= 500:
            self.record.count(f"writes unknown for {answer.status} {answer.reason}")
            time.sleep(DOWN_PAUSE_SECONDS)
            return UNKNOWN, None
        if method == "DELETE" and answer.status == 404 and generation != self.record.generation:
            # The gateway may send it again when the first answer was lost with the control plane.
            return UNKNOWN, None
        self.record.violation(f"{method} {target} was refused: {answer.describe()}")
        return REFUSED, None

    def read(self, target, gone=()):
        """What the API shows, read straight from it; `None` when it shows nothing by one of the `gone` statuses."""
        deadline = time.monotonic() + READ_SECONDS_MAX
        while True:
            try:
                answer = self.ask("GET", target, direct=True)
                if answer.good:
                    return answer.json()
                if answer.status in gone:
                    return None
                if answer.status < 500:
                    raise ValueError(f"GET {target}: {answer.describe()}")
            except (Cut, Unsent):
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"GET {target} has no answer for {READ_SECONDS_MAX} s")
            time.sleep(0.05)


class Worker(threading.Thread):
    """A thread whose failure is a violation, not a line on standard error."""

    def __init__(self, product, record, seed):
        super().__init__(daemon=True)
        self.record, self.caller = record, Caller(product, record, seed)
        self.random = self.caller.random

    def run(self):
        try:
            while not self.record.stop.is_set():
                self.step()
        except Exception as error:  # Whatever it is, the run must not be called good.
            self.record.violation(f"{type(self).__name__} stopped: {error!r}")

    def parked_since(self):
        return self.record.generation, time.monotonic()

    def is_settled(self, since):
        generation, moment = since
        return generation != self.record.generation or time.monotonic() > moment + SETTLED_SECONDS


class Writer(Worker):
    """Changes its slots, one at a time."""

    def __init__(self, product, record, seed, slots):
        super().__init__(product, record, seed)
        self.slots = slots(self.random)

    def step(self):
        slot = self.random.choice(self.slots)
        if slot.parked:
            _values, since = slot.parked
            if self.is_settled(since):
                self.resolve(slot)
            return
        time.sleep(self.random.uniform(0, PAUSE_SECONDS_MAX))
        operation = slot.next()
        outcome, answer = self.caller.write(operation.method, operation.target, operation.body)
        self.record.count(f"writes {outcome}")
        if outcome == ACCEPTED:
            slot.settle(operation, answer)
        elif outcome == UNKNOWN:
            slot.parked = ({slot.value, operation.value}, self.parked_since())
            if operation.makes:
                slot.id = None

    def resolve(self, slot):
        """Looks which of two values it is."""
        values, _since = slot.parked
        found = slot.read(self.caller.read)
        if found not in values:
            self.record.violation(f"{slot} is {found}, and was or became one of {values}")
        slot.value, slot.parked = found, None
        if found is None:
            slot.id = None
        self.record.count("unknown outcomes looked up")

    def verify(self):
        """Everything is as the answers said."""
        for slot in self.slots:
            if slot.parked:
                self.resolve(slot)
                continue
            found = slot.read(self.caller.read) if slot.id is not None or slot.value is not None else None
            if found != slot.value:
                self.record.violation(f"LOST: {slot} is {found}, and {slot.value} was accepted")
            self.record.count("things compared at the end")


class PairWriter(Worker):
    """Makes and removes a group that gives two people the same right at once, and notes at which revisions."""

    def __init__(self, product, record, seed, pair):
        super().__init__(product, record, seed)
        self.pair = pair
        self.number, self.group, self.parked = 0, None, None

    def step(self):
        if self.parked:
            if self.is_settled(self.parked):
                self.resolve()
            time.sleep(0.02)
            return
        time.sleep(self.random.uniform(0, PAUSE_SECONDS_MAX))
        making = self.group is None
        if making:
            self.number += 1
            body = group_body(self.name, [self.pair.policy], [person.id for person in self.pair.people])
            request = ("POST", "/v1/groups", body)
        else:
            request = ("DELETE", f"/v1/groups/{self.group}", None)
        outcome, answer = self.caller.write(*request)
        self.record.count(f"writes {outcome}")
        if outcome == ACCEPTED:
            self.group = answer.json()["group"]["id"] if making else None
            self.pair.known(parse_revision(answer.headers[COMMITTED]), making)
        elif outcome == UNKNOWN:
            self.pair.unknown()
            self.parked = self.parked_since()

    @property
    def name(self):
        return f"pair-{self.pair.number}-{self.number}"

    def resolve(self):
        found = self.caller.read(f"/v1/groups?name={self.name}&size=100")["groups"]
        self.group = next((group["id"] for group in found if group["name"] == self.name), None)
        self.parked = None
        self.record.count("unknown outcomes looked up")
