"""The measured request: how it is signed, sent once as a check, and sent many times by wrk."""

import base64
import dataclasses
import hashlib
import hmac
import http.client
import re
import socket
import time

from rig.processes import BenchError, run_to_end

HOST = "gateway.example.internal"
TARGET = "/api/v1/svc42/items/10023?limit=50&cursor=abc123"
TARGET_UNROUTED = "/api/v1/svc42/unrouted/10023?limit=50&cursor=abc123"
CLIENT_TYPE = "Openapi"
USER_AGENT = (
    "terraform-provider-example/4.2.0 (+https://registry.example.internal/providers/example/4.2) "
    "terraform/1.9.8 linux_amd64 go1.24"
)
ANSWER_SECONDS_MAX = 5


@dataclasses.dataclass(frozen=True)
class Credential:
    """An access key, the account of its user, and its secret."""

    access_key: str
    account: str
    secret: str


def headers(credential, target=TARGET, age_ms=0, flip=False):
    """The nine headers of a request signed now (or `age_ms` ago), as SCP v2 clients send them."""
    timestamp = str(time.time_ns() // 1_000_000 - age_ms)
    signed = (
        f"GEThttp://{HOST}{target}{timestamp}"
        f"{credential.access_key}{credential.account}{CLIENT_TYPE}"
    )
    mac = hmac.new(credential.secret.encode(), signed.encode(), hashlib.sha256).digest()
    if flip:
        mac = bytes([mac[0] ^ 1]) + mac[1:]
    return [
        ("Host", HOST),
        ("User-Agent", USER_AGENT),
        ("Accept", "application/json"),
        ("Accept-Encoding", "gzip, deflate"),
        ("Scp-AccessKey", credential.access_key),
        ("Scp-AccountId", credential.account),
        ("Scp-ClientType", CLIENT_TYPE),
        ("Scp-Timestamp", timestamp),
        ("Scp-Signature", base64.b64encode(mac).decode()),
    ]


def head(fields, target=TARGET):
    """The bytes of the request head; wrk builds the same from the same headers."""
    lines = [f"GET {target} HTTP/1.1"] + [f"{name}: {value}" for name, value in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def ask(port, head_bytes):
    """Sends one request; returns the status, the reason header (or None) and the body."""
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS_MAX) as stream:
            stream.sendall(head_bytes)
            answer = http.client.HTTPResponse(stream, method="GET")
            answer.begin()
            return answer.status, answer.getheader("portcullis-reason"), answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"no answer from port {port}: {error!r}") from error


@dataclasses.dataclass(frozen=True)
class Load:
    """What wrk reports of one run."""

    requests: int
    rps: float
    p50_us: float
    p99_us: float
    non_2xx: int
    socket_errors: int
    bytes_per_request: float


def load(port, fields, connections, seconds, core, log):
    """Runs wrk against a port with these headers."""
    command = [
        "wrk",
        "-t",
        1,
        "-c",
        connections,
        "-d",
        f"{seconds}s",
        "--latency",
        "--timeout",
        "5s",
    ]
    for name, value in fields:
        command += ["-H", f"{name}: {value}"]
    command.append(f"http://127.0.0.1:{port}{TARGET}")
    return parse_wrk(run_to_end(command, log, seconds + 30, {core}))


def parse_wrk(text):
    """Reads wrk's report."""
    requests = re.search(r"(\d+) requests in [\d.]+\w+, ([\d.]+)(B|KB|MB|GB|TB) read", text)
    rps = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if not requests or not rps:
        raise BenchError(f"wrk's report is not understood:\n{text}")
    errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
    )
    non_2xx = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    scale = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}[requests[3]]
    count = int(requests[1])
    return Load(
        requests=count,
        rps=float(rps[1]),
        p50_us=_latency_us(text, "50%"),
        p99_us=_latency_us(text, "99%"),
        non_2xx=int(non_2xx[1]) if non_2xx else 0,
        socket_errors=sum(int(part) for part in errors.groups()) if errors else 0,
        bytes_per_request=float(requests[2]) * scale / count if count else 0.0,
    )


def _latency_us(text, percentile):
    found = re.search(rf"^\s+{percentile}\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    return float(found[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[found[2]] if found else 0.0
