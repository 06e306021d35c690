#!/usr/bin/env python3
"""Minutes of kills, cuts and spoiled feeds, while writers write and people ask.

What must hold, whatever happens: no accepted write is lost; no revision that a client sees goes down; a revision
decides always the same way, and as the writes around it say; in the end gateway and store have one digest, which
is that of the store's records. Exit 0: nothing of it was violated.

Loopback only; ends only what it started. The seed fixes which faults come in which order, not when they hit.
"""

import argparse
import contextlib
import pathlib
import random
import shutil
import sqlite3
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent.parent / "benches"))

from faults import Faults
from probes import Pair, Person, Prober
from proxy import Proxy
from record import Record
from rig.api import Api
from rig.digest import Digest
from rig.processes import BenchError, stop_all
from rig.product import Product, binary
from slots import Allowlist, Group, Key, Policy, User
from writers import PairWriter, Writer

PEOPLE = 6
POLICIES = 3
GROUP_SLOTS = 6
POLICY_SLOTS = 4
USER_SLOTS = 2
QUIET_SECONDS = 4
JOIN_SECONDS_MAX = 60
EQUAL_SECONDS_MAX = 20
VIOLATIONS_MAX = 50
MUST_BE_ZERO = (
    "portcullis_feed_digest_mismatches_total",
    "portcullis_feed_unreadable_records_total",
    "portcullis_feed_refused_steps_total",
)
DISK_FAILURES = "portcullis_disk_copy_failures_total"


def main():
    args = parse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="portcullis-chaos-"))
    keep = args.keep
    try:
        violated = Chaos(args, folder).run()
        keep |= violated
        return 1 if violated else 0
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        stop_all()
        if keep:
            print(f"kept {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add, path = parser.add_argument, pathlib.Path
    add("--minutes", type=float, default=10, help="how long (10)")
    add("--seconds", type=float, help="how long, instead of --minutes")
    add("--seed", type=int, help="which faults come (random)")
    add("--writers", type=int, default=4, help="threads that write (4)")
    add("--pairs", type=int, default=2, help="pairs of people who ask (2)")
    add("--build", action="store_true", help="build the release binary first")
    add("--binary", type=path, metavar="PATH", help="try this binary")
    add("--keep", action="store_true", help="keep the temporary folder, as after a violation")
    args = parser.parse_args()
    args.seconds = args.seconds or args.minutes * 60
    if not (1 <= args.seconds <= 86_400 and 1 <= args.writers <= 32 and 1 <= args.pairs <= 16):
        parser.error("from a second to a day, 1 to 32 writers, 1 to 16 pairs")
    if args.seed is None:
        args.seed = random.randrange(1 << 32)
    return args


class Chaos:
    """One run."""

    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.record = Record()
        self.random = random.Random(args.seed)
        self.product = Product(folder, binary(args, folder), proxied=True, decisions="/dev/null")
        ports = self.product.ports
        self.proxy = Proxy(ports.feed_seen, ports.feed, self.random)
        self.faults = Faults(self.product, self.proxy, self.record, self.random)

    def run(self):
        print(f"{self.args.seconds:g} s, seed {self.args.seed}", flush=True)
        product = self.product
        product.bootstrap()
        product.start_stub()
        self.faults.start_control(True)
        self.faults.start_gateway(True)
        self.people()
        threads = [*self.writers, *self.pair_writers, *self.probers]
        for thread in threads:
            thread.start()
        self.record.began = began = time.monotonic()
        while time.monotonic() < began + self.args.seconds and len(self.record.violations) < VIOLATIONS_MAX:
            self.faults.step()
        self.faults.end()
        # What is not known yet is looked up, and written to again.
        time.sleep(QUIET_SECONDS)
        self.record.stop.set()
        for thread in threads:
            thread.join(JOIN_SECONDS_MAX)
            if thread.is_alive():
                self.record.violation(f"{thread} does not end")
        self.compare()
        self.end()
        self.summary(time.monotonic() - began)
        return bool(self.record.violations)

    def people(self):
        """Whom writers and pairs use: nobody's things are anybody else's."""
        api, seed = Api(self.product), self.args.seed
        self.writers = []
        for number in range(self.args.writers):
            users = [api.user(f"w{number}-member-{place}") for place in range(PEOPLE)]
            policies = [api.policy(f"w{number}-policy-{place}", f"iam:Show{place}") for place in range(POLICIES)]
            keys = [api.key(user)["access_key"] for user in users[:2]]
            slots = self.slots(number, users, policies, keys)
            self.writers.append(Writer(self.product, self.record, f"{seed} writer {number}", slots))
        pairs = []
        for number in range(self.args.pairs):
            policy = api.policy(f"pair-{number}-policy", "iam:ListGroups")
            people = [Person(api, f"pair-{number}-{side}") for side in ("left", "right")]
            pairs.append(Pair(number, policy, people))
        self.pair_writers = [PairWriter(self.product, self.record, f"{seed} pair {pair.number}", pair) for pair in pairs]
        self.probers = [Prober(self.product, self.record, f"{seed} prober {pair.number}", pair) for pair in pairs]
        self.record.committed.raise_to(api.committed())
        # Decided by all of that: whoever asks from now on is known.
        api.call("GET", "/v1/groups")

    def slots(self, number, users, policies, keys):
        def make(random):
            label = f"w{number}"
            groups = [Group(random, f"{label}-g{place}", users, policies) for place in range(GROUP_SLOTS)]
            alone = [Policy(random, f"{label}-p{place}") for place in range(POLICY_SLOTS)]
            people = [User(random, f"{label}-u{place}", self.product.account) for place in range(USER_SLOTS)]
            on = [Key(random, f"{label}-k{place}", users[place], key) for place, key in enumerate(keys)]
            lists = [Allowlist(random, f"{label}-a{place}", user) for place, user in enumerate(users[2:4])]
            return [*groups, *alone, *people, *on, *lists]

        return make

    def compare(self):
        """All is quiet: what the API shows, what was decided, what both sides have."""
        for thread in [*self.writers, *self.probers]:
            thread.verify()
        deadline = time.monotonic() + EQUAL_SECONDS_MAX
        while (gateway := self.product.gateway_revision()) != (store := self.product.control_revision()):
            if time.monotonic() > deadline:
                self.record.violation(f"in the end the gateway is at {gateway}, the store at {store}")
                break
            time.sleep(0.05)
        self.last = store
        self.faults.sum_up()
        for name in MUST_BE_ZERO:
            if self.faults.sums[name]:
                self.record.violation(f"{name} is {self.faults.sums[name]:g} over all gateways")

        failed, damaged = self.faults.sums[DISK_FAILURES], self.faults.damaged_met
        if failed > damaged:
            self.record.violation(f"{failed:g} disk copies failed, {damaged} were damaged")

    def end(self):
        """Everything ends as it is told to; then the store itself is looked at."""
        self.faults.judge(self.product.gateway.stop(), "gateway")
        self.faults.judge(self.product.control.stop(), "control plane")
        for log in sorted(self.folder.glob("*.log")):
            if "panicked" in log.read_text(errors="replace"):
                self.record.violation(f"something panicked: {log.name}")
        with contextlib.closing(sqlite3.connect(self.folder / "portcullis.db")) as database:
            self.look_into(database)

    def look_into(self, database):
        def one(query):
            return database.execute(query).fetchone()

        digest = Digest()
        for key, body in database.execute("SELECT record_key, body FROM records"):
            digest.change(key, body, 1)
        (sound,), (told, head, epoch) = one("PRAGMA integrity_check"), one("SELECT digest, head, epoch FROM meta")
        if sound != "ok":
            self.record.violation(f"the database is damaged: {sound}")
        if told != str(digest) or self.last != ((epoch, head), told):
            self.record.violation(f"the records have the digest {digest}, the store says {told}, its API said {self.last}")
        audited = {revision for (revision,) in database.execute("SELECT DISTINCT revision FROM audit")}
        for _epoch, sequence in sorted(self.record.accepted):
            if sequence not in audited:
                self.record.violation(f"LOST: a write was accepted as {sequence}, which the audit log does not have")
        count, first, last = one("SELECT COUNT(*), MIN(revision), MAX(revision) FROM changes")
        if count != last - first + 1 or last != head:
            self.record.violation(f"{count} changes from {first} to {last}: some are missing")

    def summary(self, seconds):
        counts, faults, proxy = self.record.counts, self.faults, self.proxy.counts
        shown = [f"{what} {count}" for what, count in sorted(counts.items())]
        spoiled = [f"{what} {count}" for what, count in proxy.items()]
        sums = [f"{name.removeprefix('portcullis_').removesuffix('_total')} {value:g}" for name, value in faults.sums.items()]
        print(
            f"\n{seconds:.0f} s, seed {self.args.seed}, in the end at {self.last}\n"
            + "\n".join(f"  {line}" for line in shown)
            + f"\nfeed, as it passed the proxy: {', '.join(spoiled)}\n"
            f"gateways, all together: {', '.join(sums)}\n"
            f"digests seen at {len(self.record.digests)} revisions, "
            f"{len(self.record.accepted)} accepted writes looked up in the audit log\n"
            f"longest time without a decision {self.record.longest_silence:.2f} s, longest start {faults.longest_start:.2f} s\n"
            f"{len(self.record.violations)} violations"
        )


if __name__ == "__main__":
    sys.exit(main())
