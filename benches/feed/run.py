#!/usr/bin/env python3
"""From the API's answer to a change until the gateway decides by it, under load.

Five kinds of changes, made through the gateway by an administrator. After each answer the user whom it
concerns asks as fast as one connection can, until the decision is another. Loopback only; ends only what
it started.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))

from rig.api import Api
from rig.client import Connection, Credential
from rig.processes import BenchError, stop_all
from rig.product import STUB_HOST, Product, binary, bucket_bound, buckets, parse_revision

LOAD = pathlib.Path(__file__).resolve().parent.parent / "rig/load.py"
TARGET = "/v1/groups"
LATENCY = "portcullis_change_to_enforce_seconds"
ENFORCE_SECONDS_MAX = 10
LOAD_SETTLE_SECONDS = 1
LOAD_CONNECTIONS = 8


def main():
    args = parse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="portcullis-feed-"))
    try:
        return Bench(args, folder).run()
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        stop_all()
        if args.keep:
            print(f"kept {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add, path = parser.add_argument, pathlib.Path
    add("--count", type=int, default=200, help="changes of each of the five kinds (200)")
    add("--users", type=int, default=50, help="people beside those who are measured (50)")
    add("--rate", type=int, default=500, help="requests of the load a second; 0 for none (500)")
    add("--max-ms", type=float, metavar="MS", help="fail when p99 over all is above")
    add("--build", action="store_true", help="build the release binary first")
    add("--binary", type=path, metavar="PATH", help="measure this binary")
    add("--json", type=path, metavar="FILE", help="write every measurement as JSON")
    add("--keep", action="store_true", help="keep the temporary folder")
    args = parser.parse_args()
    for option, least, most in (("count", 1, 10_000), ("users", 1, 500), ("rate", 0, 5_000)):
        if not least <= getattr(args, option) <= most:
            parser.error(f"--{option} takes {least} to {most}")
    return args


class Person:
    """Somebody who asks, on a connection of their own."""

    def __init__(self, api, name, **given):
        self.id = api.user(name, **given)
        key = api.key(self.id)
        self.key, self.credential = key["access_key"], Credential(key["access_key"], key["secret_key"])
        self.connection = Connection(api.product.ports.gateway, STUB_HOST)

    def ask(self):
        answer = self.connection.ask("GET", TARGET, self.credential)
        if answer.status not in (200, 401, 403):
            raise BenchError(f"GET {TARGET}: {answer.describe()}")
        return answer


class Bench:
    """One run."""

    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.product = Product(folder, binary(args, folder))
        self.measurements = []

    def run(self):
        product = self.product
        product.bootstrap()
        product.start_stub()
        product.start_control()
        product.start_gateway()
        self.api = Api(product)
        self.people()
        load = self.start_load()
        before = product.metrics()
        began = time.monotonic()
        for number in range(self.args.count):
            self.round(number)
        seconds = time.monotonic() - began
        after = product.metrics()
        load = self.stop_load(load)
        spread = [buckets(page, LATENCY) for page in (before, after)]
        return self.report(seconds, load, spread)

    def people(self):
        api = self.api
        self.reading = api.policy("bench-reading", "iam:ListGroups")
        self.team = api.group("bench-team", policies=[self.reading])
        self.attached = Person(api, "bench-attached")
        self.member = Person(api, "bench-member", groups=[self.team])
        self.keyed = Person(api, "bench-keyed", policies=[self.reading])
        self.listed = Person(api, "bench-listed", policies=[self.reading])
        # The last of these has no right: a part of the load is refused, as it is anywhere.
        names = [f"bench-{number}" for number in range(self.args.users)]
        self.crowd = [Person(api, name, groups=[self.team]) for name in names]
        self.crowd.append(Person(api, "bench-stranger"))

    # The load

    def start_load(self):
        if not self.args.rate:
            return None
        order = {
            "port": self.product.ports.gateway,
            "host": STUB_HOST,
            "target": TARGET,
            "rate": self.args.rate,
            "connections": LOAD_CONNECTIONS,
            "credentials": [[one.credential.access_key, one.credential.secret] for one in self.crowd],
        }
        path = self.folder / "load.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(order))
        child = self.product.start("load", sys.executable, LOAD, path)
        time.sleep(LOAD_SETTLE_SECONDS)
        return child

    def stop_load(self, child):
        if child is None:
            return None
        if child.stop() != 0:
            raise BenchError(f"the load ended badly:\n{child.log_tail()}")
        return json.loads(child.log.read_text())

    # The changes

    def round(self, number):
        """One change of each kind, and what brings things back."""
        reading, team = self.reading, self.team
        user, member, keyed, listed = self.attached.id, self.member.id, self.keyed, self.listed
        bindings, members = f"/v1/users/{user}/policy-bindings", f"/v1/groups/{team}/members"
        key = f"/portcullis/v1/users/{keyed.id}/access-keys/{keyed.key}"
        security = f"/portcullis/v1/users/{listed.id}/key-security"
        addresses = ["10.0.0.0/8"] if number % 2 == 0 else ["10.0.0.0/8", "127.0.0.0/8"]
        allowlist = {"allowlist_enabled": True, "allowed_addresses": addresses}
        change = self.change
        change("policy attached", self.attached, 200, "POST", bindings, {"policy_ids": [reading]})
        change("policy detached", self.attached, 403, "DELETE", f"{bindings}/{reading}")
        change("key disabled", keyed, 401, "PUT", key, {"is_enabled": False})
        change(None, keyed, 200, "PUT", key, {"is_enabled": True})
        change("member removed", self.member, 403, "DELETE", f"{members}/{member}")
        change(None, self.member, 200, "POST", members, {"user_id": member})
        change("allowlist changed", listed, 403 if number % 2 == 0 else 200, "PUT", security, allowlist)

    def change(self, kind, person, outcome, method, target, body=None):
        """Makes a change, then asks until the decision is the one it should lead to."""
        before = person.ask()
        if before.status == outcome:
            raise BenchError(f"before `{kind}` the answer is {before.describe()} already")
        answered = self.api.call(method, target, body)
        committed, deadline = self.api.committed(), answered.ended + ENFORCE_SECONDS_MAX * 10**9
        asked = 0
        while True:
            answer = person.ask()
            asked += 1
            shown = parse_revision(answer.headers.get("portcullis-revision", "0.0"))
            if (answer.status == outcome) != (shown >= committed):
                raise BenchError(f"revision {shown} of {committed} decides `{kind}`: {answer.describe()}")
            if answer.status == outcome:
                break
            if answer.ended > deadline:
                raise BenchError(f"`{kind}` is not in force after {ENFORCE_SECONDS_MAX} s")
        if kind:
            self.measurements.append(
                {
                    "kind": kind,
                    "change_ms": (answered.ended - answered.began) / 1e6,
                    "asked_ms": max(0, answer.began - answered.ended) / 1e6,
                    "enforced_ms": max(0, answer.ended - answered.ended) / 1e6,
                    "requests": asked,
                }
            )

    # Results

    def report(self, seconds, load, spread):
        kinds = list(dict.fromkeys(one["kind"] for one in self.measurements))
        rows = [row(kind, [one for one in self.measurements if one["kind"] == kind]) for kind in kinds]
        whole = row("all", self.measurements)
        print(f"{'milliseconds from the answer':<30}{'changes':>8}{'p50':>9}{'p99':>9}{'max':>9}  at the first request")
        for line in [*rows, whole]:
            print(
                f"{line['kind']:<30}{line['changes']:>8}{line['p50_ms']:>9.3f}{line['p99_ms']:>9.3f}"
                f"{line['max_ms']:>9.3f}{line['first_share']:>14.1%}"
            )
        bounds = [bucket_bound(*spread, share) for share in (0.5, 0.99, 1.0)]
        shown = [f"{bound * 1e3:g} ms" if bound else "-" for bound in bounds]
        print(
            f"\nthe gateway's own histogram, from commit to in force: p50 at most {shown[0]}, "
            f"p99 at most {shown[1]}, all at most {shown[2]}\n"
            f"a change itself, through the gateway: p50 {whole['change_p50_ms']:.2f} ms, p99 {whole['change_p99_ms']:.2f} ms; "
            f"{seconds:.1f} s in all, on {os.cpu_count()} cores"
        )
        if load:
            total = sum(load["statuses"].values())
            print(
                f"load: {total / load['seconds']:.0f} requests/s, statuses {load['statuses']}, {load['failed']} failed, "
                f"p50 {load['p50_ms']:.2f} ms, p99 {load['p99_ms']:.2f} ms"
            )
        if self.args.json:
            document = {"kinds": rows, "all": whole, "histogram_s": bounds, "load": load, "measurements": self.measurements}
            self.args.json.write_text(json.dumps(document, indent=1) + "\n")
        return self.judge(load, whole)

    def judge(self, load, whole):
        failures = []
        if load and (load["failed"] or set(load["statuses"]) - {"200", "403"}):
            failures.append("the load had answers other than 200 and 403")
        if self.args.max_ms and whole["p99_ms"] > self.args.max_ms:
            failures.append(f"p99 is above {self.args.max_ms:g} ms")
        for failure in failures:
            print(f"failed: {failure}", file=sys.stderr)
        return 1 if failures else 0


def row(kind, measurements):
    enforced = sorted(one["enforced_ms"] for one in measurements)
    change = sorted(one["change_ms"] for one in measurements)
    count = len(measurements)
    place = min(count - 1, count * 99 // 100)
    return {
        "kind": kind,
        "changes": count,
        "p50_ms": enforced[count // 2],
        "p99_ms": enforced[place],
        "max_ms": enforced[-1],
        "first_share": sum(one["requests"] == 1 for one in measurements) / count,
        "change_p50_ms": change[count // 2],
        "change_p99_ms": change[place],
    }


if __name__ == "__main__":
    sys.exit(main())
