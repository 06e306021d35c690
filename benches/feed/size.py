#!/usr/bin/env python3
"""What 100,000 users with keys cost a gateway: time to get them, memory, disk copy, start from it, and one change.

The feed is spoken by this script, so no store takes part in the figures. Loopback only; ends only what it started.
"""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))

from population import TARGET, Population
from rig.client import Connection
from rig.processes import BenchError, stop_all
from rig.product import STUB_HOST, Product, binary, bucket_bound, buckets
from sealing import Sealer
from speaker import Speaker, State

LATENCY = "portcullis_change_to_enforce_seconds"
LOAD_SECONDS_MAX = 600
CHANGE_SECONDS_MAX = 10
SETTLE_SECONDS = 2
APPLY_MS_MAX = 1.0


def main():
    args = parse()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="portcullis-size-"))
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
        shutil.rmtree(folder, ignore_errors=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--users", type=int, default=100_000, help="users, each with a key (100000)")
    add("--changes", type=int, default=1_000, help="changes, one after the other (1000)")
    add("--build", action="store_true", help="build the release binary first")
    add("--binary", type=pathlib.Path, metavar="PATH", help="measure this binary")
    add("--json", type=pathlib.Path, metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    if not (100 <= args.users <= 1_000_000 and 10 <= args.changes <= 100_000):
        parser.error("--users takes 100 to 1000000, --changes 10 to 100000")
    return args


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


class Bench:
    """One run."""

    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.product = Product(folder, binary(args, folder))
        sealer = Sealer(self.product.keys["sealing"])
        self.population = Population(args.users, sealer, seed=1)
        self.state = State(self.population.records)
        self.figures = {"users": args.users, "records": len(self.state.records)}

    def run(self):
        self.product.start_stub()
        speaker = Speaker(self.product.ports.feed, self.product.keys["feed"], self.state)
        self.load(speaker)
        self.change(speaker)
        self.burst(speaker)
        speaker.close()
        self.restart()
        return self.report()

    def load(self, speaker):
        """From nothing to everything in force."""
        began = time.monotonic()
        self.product.start_gateway(ready=False)
        self.until(self.state.head, LOAD_SECONDS_MAX)
        ended = time.monotonic()
        self.try_people(3)
        time.sleep(SETTLE_SECONDS)
        self.figures |= {
            "load_s": ended - began,
            "load_after_asking_s": ended - speaker.asked,
            "resident_bytes": self.product.gateway.memory_bytes(),
            "copy_bytes": self.copy_bytes(),
        }

    def change(self, speaker):
        """One change after the other, each when the one before is in force."""
        connection = Connection(self.product.ports.metrics)
        before, seconds = self.product.metrics(), []
        cpu = self.product.gateway.thread_ns("feed")
        for number in range(self.args.changes):
            sequence = self.state.commit(self.population.change(number))
            sent = speaker.tell([sequence])
            seconds.append((self.reached(connection, sequence) - sent) / 1e9)
        cpu = self.product.gateway.thread_ns("feed") - cpu
        after = self.product.metrics()
        spread = [buckets(page, LATENCY) for page in (before, after)]
        self.figures |= {
            "changes": self.args.changes,
            "change_seen_ms": {
                name: percentile(seconds, share) * 1e3
                for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
            },
            "change_cpu_ms": cpu / 1e6 / self.args.changes,
            "histogram_p99_below_ms": (bucket_bound(*spread, 0.99) or 0) * 1e3,
            "histogram_max_below_ms": (bucket_bound(*spread, 1.0) or 0) * 1e3,
        }
        self.try_people(3)

    def burst(self, speaker):
        """All changes at once: what one costs when nothing waits."""
        first = self.args.changes
        sequences = [self.state.commit(self.population.change(first + number)) for number in range(first)]
        cpu = self.product.gateway.thread_ns("feed")
        sent = speaker.tell(sequences)
        ended = self.reached(Connection(self.product.ports.metrics), sequences[-1])
        cpu = self.product.gateway.thread_ns("feed") - cpu
        self.figures |= {
            "burst_ms_per_change": (ended - sent) / 1e6 / len(sequences),
            "burst_cpu_ms_per_change": cpu / 1e6 / len(sequences),
            "resident_bytes_after_changes": self.product.gateway.memory_bytes(),
        }

    def restart(self):
        """A start while the control plane is away."""
        self.product.gateway.stop()
        began = time.monotonic()
        self.product.start_gateway(ready=False)
        self.until(self.state.head, LOAD_SECONDS_MAX)
        self.figures["start_from_copy_s"] = time.monotonic() - began
        self.try_people(3)
        time.sleep(SETTLE_SECONDS)
        self.figures["resident_bytes_from_copy"] = self.product.gateway.memory_bytes()
        if self.product.gateway_revision()[1] != str(self.state.digest):
            raise BenchError("the digest after the start from the disk copy is another")

    # What is asked

    def until(self, sequence, seconds):
        deadline = time.monotonic() + seconds
        while (found := self.product.gateway_revision()) is None or found[0][1] < sequence:
            if self.product.gateway.ended() or time.monotonic() > deadline:
                raise BenchError(f"the gateway is at {found}:\n{self.product.gateway.log_tail()}")
            time.sleep(0.005)

    def reached(self, connection, sequence):
        """When the first look that shows the sequence was answered."""
        deadline = time.monotonic() + CHANGE_SECONDS_MAX + self.args.changes * 0.01
        end = f'.{sequence}"'.encode()
        while True:
            answer = connection.ask("GET", "/revision")
            if end in answer.body:
                return answer.ended
            if time.monotonic() > deadline:
                raise BenchError(f"{sequence} never comes: {answer.body}\n{self.product.gateway.log_tail()}")

    def try_people(self, count):
        """Some of them call: as their key, allowlist and policies are, so is the answer."""
        connection = Connection(self.product.ports.gateway, STUB_HOST)
        for person in self.population.random.sample(self.population.people, count):
            _account, group, policy, user, key, _sealed, credential = person
            records = self.population.records
            enabled = '"enabled":true' in records[f"access_key/{key}"]
            member = f"membership/{group}/{user}" in records or f"attachment/{policy}/user/{user}" in records
            expected = 401 if not enabled else 200 if member and f"key_security/{user}" not in records else 403
            answer = connection.ask("GET", TARGET, credential)
            if answer.status != expected:
                raise BenchError(f"somebody is answered {answer.describe()} instead of {expected}")

    def copy_bytes(self):
        return sum(path.stat().st_size for path in (self.folder / "gateway-copy").iterdir())

    def report(self):
        figures = self.figures
        seen = figures["change_seen_ms"]
        mib = 1 << 20
        print(
            f"{figures['users']} users, {figures['records']} records\n"
            f"everything from the feed    {figures['load_s']:.2f} s from the gateway's start\n"
            f"resident memory             {figures['resident_bytes'] / mib:.0f} MiB; "
            f"{figures['resident_bytes_after_changes'] / mib:.0f} MiB after the changes; "
            f"{figures['resident_bytes_from_copy'] / mib:.0f} MiB after a start from the disk copy\n"
            f"disk copy                   {figures['copy_bytes'] / mib:.1f} MiB\n"
            f"start from the disk copy    {figures['start_from_copy_s']:.2f} s\n"
            f"one change of {figures['changes']}, from sending it to seeing it in force: "
            f"p50 {seen['p50']:.3f} ms, p99 {seen['p99']:.3f} ms, max {seen['max']:.3f} ms\n"
            f"    by the gateway's histogram p99 at most {figures['histogram_p99_below_ms']:g} ms, "
            f"all at most {figures['histogram_max_below_ms']:g} ms (whole milliseconds of two clock readings)\n"
            f"    CPU of the thread that follows {figures['change_cpu_ms']:.3f} ms each\n"
            f"{figures['changes']} changes at once        {figures['burst_ms_per_change']:.3f} ms each "
            f"(CPU {figures['burst_cpu_ms_per_change']:.3f} ms)"
        )
        if self.args.json:
            self.args.json.write_text(json.dumps(figures, indent=1) + "\n")
        if figures["burst_ms_per_change"] > APPLY_MS_MAX or figures["change_cpu_ms"] > APPLY_MS_MAX:
            print(f"failed: a change takes more than {APPLY_MS_MAX:g} ms", file=sys.stderr)
            return 1
        return 0


if __name__ == "__main__":
    sys.exit(main())
