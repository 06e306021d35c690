#!/usr/bin/env python3
"""CPU per request of the gateway against nginx as a plain proxy. README.md says how to read it."""

import datetime
import json
import os
import pathlib
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))

import checks
import fixture
import options
import report
import traffic
from rig.processes import (
    BenchError,
    Child,
    core_distance_ns,
    machine_seconds,
    own_seconds,
    run_to_end,
    stop_all,
)

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILT = HERE / "backend/target/release"
BACKEND = BUILT / "load-backend"
CORE_DISTANCE = BUILT / "core-distance"

BODY_BYTES = 1024
WARM_SECONDS = 1
FOREIGN_CORES_MAX = 0.15
RETRIES = 2
READY_SECONDS_MAX = 60
BUILD_SECONDS_MAX = 3600
RECORD_BYTES_GUESS = 1024
RPS_GUESS = 150_000
# Below the range that the kernel gives to outgoing connections.
PORTS = range(20_000, 30_000)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main():
    args = options.parse(__doc__)
    # From here on every way out but SIGKILL goes through `finally`; for SIGKILL see rig/processes.py.
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    folder = None
    try:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="portcullis-load-", dir=args.dir))
        return Bench(args, folder).run()
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        stop_all()
        if folder and args.keep:
            print(f"kept {folder}", file=sys.stderr)
        elif folder:
            shutil.rmtree(folder, ignore_errors=True)


def _interrupt(_number, _frame):
    raise KeyboardInterrupt


class Bench:
    """One run of the bench."""

    def __init__(self, args, folder):
        self.args = args
        self.folder = folder
        self.measurements = []
        self.failures = []
        self.gateway = None
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise BenchError("two cores are needed: one for the proxy, one for backend and wrk")
        self.proxy_core, self.load_core = cores[:2]

    def run(self):
        self.build()
        os.sched_setaffinity(0, {self.load_core})
        self.port, self.metrics_port, self.backend_port = _free_ports(3)
        ports = (self.port, self.metrics_port, self.backend_port)
        self.fixture = fixture.generate(self.folder, *ports)
        self.write_nginx_configuration()
        self.check_space()
        self.backend = self.start_backend()
        head = traffic.head(traffic.headers(self.fixture.measured))
        try:
            for repetition in range(self.args.reps):
                turn = repetition % len(self.args.only)
                for name in self.args.only[turn:] + self.args.only[:turn]:
                    self.repetition(name, repetition)
        finally:
            self.write_json(len(head))
        print(report.text(self.measurements, self.caption(len(head))))
        self.failures += report.failures(self.measurements, self.args.gate)
        for failure in self.failures:
            print(f"failed: {failure}", file=sys.stderr)
        return 1 if self.failures else 0

    # Preparation

    def build(self):
        for tool in ("wrk", "nginx"):
            if not shutil.which(tool):
                raise BenchError(f"`{tool}` is not installed")
        if not self.args.no_build:
            self.cargo_build(HERE / "backend", HERE / "backend/target", "--locked")
        for program in (BACKEND, CORE_DISTANCE):
            if not program.is_file():
                raise BenchError(f"`{program}` is missing: run without --no-build")
        if self.args.only == [report.REFERENCE]:
            return
        if self.args.pgo:
            print("building the gateway with a profile", file=sys.stderr)
            run_to_end([sys.executable, HERE / "pgo.py"], self.folder / "pgo.log", 2 * BUILD_SECONDS_MAX)
            self.args.binary = ROOT / "target/pgo/portcullis"
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
        self.gateway = self.args.binary or target / "release/portcullis"
        if not self.args.no_build and not self.args.binary:
            print("building the gateway", file=sys.stderr)
            self.cargo_build(ROOT, target)
        if not self.gateway.is_file():
            raise BenchError(f"`{self.gateway}` is missing: build it or name one with --binary")

    def cargo_build(self, package, target, *flags):
        manifest = package / "Cargo.toml"
        command = ["cargo", "build", "--release", *flags, "--manifest-path", manifest]
        log = self.folder / "build.log"
        run_to_end([*command, "--target-dir", target], log, BUILD_SECONDS_MAX)

    def write_nginx_configuration(self):
        text = (HERE / "nginx.conf").read_text()
        text = text.replace("@folder@", str(self.folder)).replace("@port@", str(self.port))
        text = text.replace("@backend_port@", str(self.backend_port))
        (self.folder / "nginx.conf").write_text(text)

    def check_space(self):
        if report.GATED in self.args.only:
            seconds = WARM_SECONDS + self.args.secs * (1 + RETRIES)
            needed = seconds * RPS_GUESS * RECORD_BYTES_GUESS
            if shutil.disk_usage(self.folder).free < needed:
                raise BenchError(
                    f"decision records may take {needed >> 20} MiB, "
                    f"which are not free in `{self.folder}`"
                )

    def start_backend(self):
        address = f"127.0.0.1:{self.backend_port}"
        command = [BACKEND, "--address", address, "--body-bytes", BODY_BYTES, "--spin"]
        backend = Child(command, self.folder / "backend.log", {self.load_core})
        self.await_ready(backend, lambda: _accepts(self.backend_port))
        return backend

    # One proxy, one repetition

    def repetition(self, name, number):
        self.fixture.record.unlink(missing_ok=True)
        proxy = Child(self.command(name), self.folder / f"{name}.log", {self.proxy_core})
        record = checks.Record(self.fixture.record) if name == report.GATED else None
        try:
            self.await_ready(proxy, lambda: self.is_ready(name))
            self.check(name)
            self.load(f"{name}, repetition {number}, warm-up", proxy, record, WARM_SECONDS)
            for attempt in range(1 + RETRIES):
                measurement = self.measure(f"{name}, repetition {number}.{attempt}", proxy, record)
                measurement.update(name=name, repetition=number, attempt=attempt)
                self.measurements.append(measurement)
                print(report.line(measurement), file=sys.stderr, flush=True)
                if measurement["quiet"]:
                    break
                time.sleep(1)
        finally:
            proxy.stop()
            self.fixture.record.unlink(missing_ok=True)

    def command(self, name):
        if name == report.REFERENCE:
            return ["nginx", "-e", "stderr", "-p", self.folder, "-c", self.folder / "nginx.conf"]
        configuration = self.fixture.plain if name == "portcullis-plain" else self.fixture.full
        return [self.gateway, "gateway", "--config", configuration]

    def is_ready(self, name):
        if not _accepts(self.port):
            return False
        return name == report.REFERENCE or checks.get(self.metrics_port, "/readyz")[0] == 200

    def await_ready(self, child, ready):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not ready():
            if child.ended():
                raise BenchError(f"`{child.command[0]}` ended at its start:\n{child.log_tail()}")
            if time.monotonic() > deadline:
                raise BenchError(
                    f"`{child.command[0]}` is not ready after {READY_SECONDS_MAX} s:\n"
                    f"{child.log_tail()}"
                )
            time.sleep(0.02)

    def check(self, name):
        checks.check_answer(name, self.port, self.fixture, b"x" * BODY_BYTES)
        if name != report.REFERENCE:
            checks.check_metrics(name, self.metrics_port)
        if name == report.GATED:
            checks.check_refusals(name, self.port, self.fixture)

    def load(self, what, proxy, record, seconds):
        """Signs afresh and runs wrk; whatever is wrong with the answers fails the bench."""
        fields = traffic.headers(self.fixture.measured)
        log = self.folder / "wrk.log"
        load = traffic.load(self.port, fields, self.args.conns, seconds, self.load_core, log)
        if proxy.ended():
            raise BenchError(f"{what} ended by itself:\n{proxy.log_tail()}")
        if load.requests == 0:
            raise BenchError(f"{what} answered nothing in {seconds} s")
        if load.non_2xx or load.socket_errors:
            self.failures.append(
                f"{what}: {load.non_2xx} answers not 2xx, {load.socket_errors} socket errors"
            )
        elif load.bytes_per_request < BODY_BYTES:
            self.failures.append(
                f"{what}: {load.bytes_per_request:.0f} bytes per answer, fewer than the body has"
            )
        if record:
            record.expect(load.requests)
        return load

    def measure(self, what, proxy, record):
        distance = self.core_distance_ns()
        started, own = time.monotonic(), own_seconds()
        busy, stolen = machine_seconds()
        backend_ns, proxy_ns = self.backend.cpu_ns(), proxy.cpu_ns()
        user, system = proxy.user_system_ticks()
        # With a record, load() returns when it is written: writing it late is work all the same.
        load = self.load(what, proxy, record, self.args.secs)
        proxy_ns = proxy.cpu_ns() - proxy_ns
        user_end, system_end = proxy.user_system_ticks()
        user, system = user_end - user, system_end - system
        backend_ns = self.backend.cpu_ns() - backend_ns
        own = own_seconds() - own
        busy_end, stolen_end = machine_seconds()
        seconds = time.monotonic() - started
        foreign = (busy_end - busy - own - (proxy_ns + backend_ns) / 1e9) / seconds
        stolen = (stolen_end - stolen) / seconds
        distances = sorted([distance, self.core_distance_ns()])
        calm = max(foreign, stolen) <= FOREIGN_CORES_MAX
        return {
            "quiet": calm and report.same_distance(*distances),
            "cpu_us": proxy_ns / 1e3 / load.requests,
            "user_share": user / max(1, user + system),
            "proxy_cores": proxy_ns / 1e9 / seconds,
            "backend_us": backend_ns / 1e3 / load.requests,
            "foreign_cores": foreign,
            "stolen_cores": stolen,
            "core_distance_ns": distances[1],
            "requests": load.requests,
            "rps": load.rps,
            "p50_us": load.p50_us,
            "p99_us": load.p99_us,
            "non_2xx": load.non_2xx,
            "socket_errors": load.socket_errors,
            "records": record.lines if record else None,
        }

    def core_distance_ns(self):
        log = self.folder / "core-distance.log"
        return core_distance_ns(CORE_DISTANCE, log, self.proxy_core, self.load_core)

    # Results

    def caption(self, head_bytes):
        args = self.args
        return (
            f"{args.reps} repetitions of {args.secs} s, {args.conns} connections, "
            f"a head of {head_bytes} bytes, a body of {BODY_BYTES}, polling backend, "
            f"proxy on core {self.proxy_core}, load on core {self.load_core}"
        )

    def write_json(self, head_bytes):
        if not self.args.out:
            return
        about = {
            "began": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "caption": self.caption(head_bytes),
            "kernel": platform.release(),
            "processor": _processor(),
            "nginx": subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr.strip(),
            "gateway": str(self.gateway) if self.gateway else None,
            "foreign_cores_max": FOREIGN_CORES_MAX,
        }
        document = {"about": about, "measurements": self.measurements, "failures": self.failures}
        self.args.out.write_text(json.dumps(document, indent=1) + "\n")


def _free_ports(count):
    ports = []
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise BenchError("no free ports")


def _accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def _processor():
    with open("/proc/cpuinfo") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
