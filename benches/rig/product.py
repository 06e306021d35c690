"""The product as it runs: control plane, gateway and a backend of our own, in one folder, on ports of this machine alone."""

import dataclasses
import os
import pathlib
import random
import re
import secrets
import socket
import sys
import time

from rig import client
from rig.processes import BenchError, Child, run_to_end

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STUB = pathlib.Path(__file__).resolve().parent / "stub.py"
# Requests with this Host go to our own backend; they are decided as those to the API are.
STUB_HOST = "backend.internal"
READY_SECONDS_MAX = 60
BUILD_SECONDS_MAX = 3600
# Below the range that the kernel gives to outgoing connections.
PORTS = range(20_000, 30_000)


def binary(args, folder):
    """The release binary: the one named, or the one built here."""
    if args.binary:
        return args.binary.resolve()
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
    built = target / "release/portcullis"
    if args.build or not built.is_file():
        print("building the release binary", file=sys.stderr)
        command = ["cargo", "build", "--release", "--manifest-path", ROOT / "Cargo.toml"]
        log = folder / "build.log"
        run_to_end([*command, "--target-dir", target], log, BUILD_SECONDS_MAX)
    return built


def free_ports(count):
    ports = []
    for port in random.Random().sample(PORTS, 500):
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


@dataclasses.dataclass
class Ports:
    """Where everything listens. `feed_seen` is where the gateway looks for the feed: the feed, or what stands before it."""

    gateway: int
    metrics: int
    api: int
    feed: int
    stub: int
    feed_seen: int


class Product:
    """Control plane, gateway and backend. Each can be started, ended and killed by itself."""

    def __init__(self, folder, program, proxied=False, decisions="decisions.jsonl"):
        self.folder, self.program = folder, program
        *ports, proxy = free_ports(6)
        self.ports = Ports(*ports, feed_seen=proxy if proxied else ports[3])
        self.keys = {}
        for name in ("sealing", "identity", "feed", "stub"):
            self.keys[name] = secrets.token_hex(32)
            path = folder / f"{name}.key"
            path.touch(mode=0o600)
            path.write_text(self.keys[name] + "\n")
        (folder / "control.yaml").write_text(self.control_yaml())
        (folder / "gateway.yaml").write_text(self.gateway_yaml(decisions))
        self.control = self.gateway = self.stub = None
        self.starts = 0
        self.account = self.administrator = self.credential = None

    def control_yaml(self):
        ports = self.ports
        return (
            "store: {path: portcullis.db}\n"
            "sealing_key: {file: sealing.key}\n"
            f"api:\n  address: 127.0.0.1:{ports.api}\n  identity_key: {{file: identity.key}}\n"
            f"feed:\n  address: 127.0.0.1:{ports.feed}\n  credential: {{file: feed.key}}\n"
        )

    def gateway_yaml(self, decisions):
        ports = self.ports
        return (
            f"listeners:\n  - address: 127.0.0.1:{ports.gateway}\n"
            f"metrics: {{address: 127.0.0.1:{ports.metrics}}}\n"
            "identity:\n  feed:\n"
            f"    url: http://127.0.0.1:{ports.feed_seen}\n"
            "    credential: {file: feed.key}\n    copy: gateway-copy\n"
            "  sealing_key: {file: sealing.key}\n"
            "services:\n"
            '  iam:\n    hosts: ["*"]\n    definitions: [iam, sts, portcullis]\n'
            f"    upstream: {{url: http://127.0.0.1:{ports.api}, identity_key: {{file: identity.key}}}}\n"
            f"  backend:\n    hosts: [{STUB_HOST}]\n    definitions: [iam]\n"
            f"    upstream: {{url: http://127.0.0.1:{ports.stub}, identity_key: {{file: stub.key}}}}\n"
            f"record: {{path: {decisions}}}\n"
        )

    # Processes

    def bootstrap(self):
        """Makes the operator's account and its administrator."""
        command = [self.program, "control", "bootstrap", "--config", self.folder / "control.yaml"]
        path = self.folder / "administrator.yaml"
        command += ["--credential-file", path]
        said = run_to_end(command, self.folder / "bootstrap.log", READY_SECONDS_MAX)
        ids = dict(re.findall(r"^(account|administrator) +([0-9a-f]{32})", said, re.MULTILINE))
        if len(ids) != 2:
            raise BenchError(f"`control bootstrap` says something else than expected:\n{said}")
        self.account, self.administrator = ids["account"], ids["administrator"]
        written = dict(line.split(": ") for line in path.read_text().splitlines())
        self.credential = client.Credential(written["access-key"], written["secret-key"])

    def begin_epoch(self):
        """As after a restore; the control plane must not run."""
        command = [self.program, "control", "recover", "--config", self.folder / "control.yaml", "--new-epoch"]
        run_to_end(command, self.folder / "recover.log", READY_SECONDS_MAX)

    def start(self, name, *command):
        self.starts += 1
        log = self.folder / f"{self.starts:04}-{name}.log"
        return Child(command, log)

    def start_control(self, ready=True):
        configuration = self.folder / "control.yaml"
        self.control = self.start("control", self.program, "control", "--config", configuration)
        if ready:
            self.await_ready(self.control, self.control_ready)

    def start_gateway(self, ready=True):
        configuration = self.folder / "gateway.yaml"
        self.gateway = self.start("gateway", self.program, "gateway", "--config", configuration)
        if ready:
            self.await_ready(self.gateway, self.gateway_ready)

    def start_stub(self):
        self.stub = self.start("stub", sys.executable, STUB, self.ports.stub)
        self.await_ready(self.stub, lambda: client.get(self.ports.stub, "/"))

    def control_ready(self):
        answer = client.get(self.ports.api, "/livez", 1)
        return answer is not None and answer.status == 200

    def gateway_ready(self):
        return self.gateway_revision() is not None

    def await_ready(self, child, ready):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not ready():
            if child.ended():
                raise BenchError(f"`{child.command[0]}` ended at its start:\n{child.log_tail()}")
            if time.monotonic() > deadline:
                raise BenchError(f"not ready after {READY_SECONDS_MAX} s:\n{child.log_tail()}")
            time.sleep(0.01)

    # What it says

    def gateway_revision(self):
        """Revision and digest in force at the gateway; `None` when there is none yet, or no gateway."""
        answer = client.get(self.ports.metrics, "/revision", 2)
        if answer is None or answer.status != 200:
            return None
        return parse_revision(answer.json()["revision"]), answer.json()["digest"]

    def control_revision(self):
        """Revision and digest of the store, as its API shows them; `None` when it does not answer."""
        connection = client.Connection(self.ports.api, seconds=2)
        try:
            answer = connection.ask("GET", "/portcullis/v1/revision", self.administrator_vouched())
        except (client.Cut, client.Unsent):
            return None
        finally:
            connection.close()
        if answer.status != 200:
            return None
        return parse_revision(answer.json()["revision"]), answer.json()["digest"]

    def metrics(self):
        """The gateway's metrics by name with labels; empty when it does not answer."""
        answer = client.get(self.ports.metrics, "/metrics", 5)
        if answer is None:
            return {}
        lines = [line for line in answer.body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def administrator_vouched(self):
        """The administrator, vouched for as the gateway would."""
        key, caller = self.keys["identity"], (self.account, self.administrator)
        return client.Gateway(key, *caller, self.credential.access_key)


def parse_revision(text):
    """`EPOCH.SEQUENCE` as a pair of numbers, which sort as revisions do."""
    epoch, _, sequence = text.partition(".")
    return int(epoch), int(sequence)


def buckets(metrics, name):
    """The cumulative buckets of a histogram, as pairs of bound and count."""
    found = re.compile(re.escape(name) + r'_bucket\{le="([^"]+)"\}')
    pairs = [(float(match[1]), int(value)) for key, value in metrics.items() if (match := found.match(key))]
    return sorted(pairs)


def bucket_bound(before, after, share):
    """The smallest bound that this share of the observations between two readings is under."""
    counts = [(bound, count - dict(before).get(bound, 0)) for bound, count in after]
    total = counts[-1][1] if counts else 0
    return next((bound for bound, count in counts if total and count >= share * total), None)
