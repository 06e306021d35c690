"""The gateway's input for the bench: configuration, identities, policies, routes, secrets.

10,000 users with one access key each in ten accounts, a group and a policy per account, 1,000
routes. The same seed gives the same files. Four users are there only to be refused: run.py sends a
request of each before it measures, so that no stage can be missing unnoticed.
"""

import dataclasses
import json
import pathlib
import random

from traffic import HOST, Credential

USERS = 10_000
ACCOUNTS = 10
ROUTES = 1_000
NETWORKS = 50
SECRET = "5b1f6c1e-8d0a-4a55-9d3b-6f0a7c2e9b14"
UPSTREAM_KEY = "load-bench-upstream-identity-key-0123456789"
RECORD_FILE = "decisions.jsonl"

MEASURED = 417
STRANGER, OUTSIDER, MISPLACED, MISMATCHED = range(4)


@dataclasses.dataclass(frozen=True)
class Fixture:
    """Where the configurations lie and whose requests to send."""

    plain: pathlib.Path
    full: pathlib.Path
    record: pathlib.Path
    measured: Credential
    # Refused because:
    stranger: Credential  # no policy is attached
    outsider: Credential  # none of the key's 50 networks holds the client
    misplaced: Credential  # the policy's IpAddress condition is another network
    mismatched: Credential  # the policy's resource pattern is another item


def generate(folder, port, metrics_port, backend_port):
    """Writes everything below `folder`."""
    ports = (port, metrics_port, backend_port)
    ids = Ids()
    plain, full = folder / "plain", folder / "full"
    for part in (plain, full):
        part.mkdir()
        _write(part / "upstream.key", UPSTREAM_KEY)
    _write(
        plain / "iam.yaml",
        _yaml_list([{"kind": "account", "id": ids.accounts[0], "name": "bench"}]),
    )
    _write(plain / "definitions.yaml", _definitions(public=True))
    public = [f"GET {_path(route)}" for route in range(ROUTES)]
    _write(plain / "portcullis.yaml", _configuration(*ports, public, "off"))

    _write(full / "secret", SECRET)
    _write_policies(full)
    _write(full / "iam.yaml", _yaml_list(_records(ids)))
    _write(full / "definitions.yaml", _definitions(public=False))
    _write(full / "portcullis.yaml", _configuration(*ports, [], RECORD_FILE))
    return Fixture(
        plain=plain / "portcullis.yaml",
        full=full / "portcullis.yaml",
        record=full / RECORD_FILE,
        measured=ids.credential(MEASURED),
        stranger=ids.credential(STRANGER),
        outsider=ids.credential(OUTSIDER),
        misplaced=ids.credential(MISPLACED),
        mismatched=ids.credential(MISMATCHED),
    )


class Ids:
    """The identifiers of all records, the same on every run."""

    def __init__(self):
        self._source = random.Random(20_000)
        self.accounts = self.take(ACCOUNTS)
        self.groups = self.take(ACCOUNTS)
        self.users = self.take(USERS)
        self.keys = self.take(USERS)

    def take(self, count):
        return [self._source.randbytes(16).hex() for _ in range(count)]

    def account_of(self, user):
        return user * ACCOUNTS // USERS

    def credential(self, user):
        return Credential(self.keys[user], self.accounts[self.account_of(user)], SECRET)


def _records(ids):
    records = []
    for number, (account, group) in enumerate(zip(ids.accounts, ids.groups, strict=True)):
        [policy] = ids.take(1)
        records += [
            {
                "kind": "account",
                "id": account,
                "name": "bench" if number == 0 else f"bench{number}",
            },
            {"kind": "group", "id": group, "account": account, "name": "readers"},
            _policy(policy, account, "read-items", "policy.json"),
            {"kind": "attachment", "policy": policy, "group": group},
        ]
    for number, (user, key) in enumerate(zip(ids.users, ids.keys, strict=True)):
        account = ids.account_of(number)
        records += [
            {"kind": "user", "id": user, "account": ids.accounts[account], "name": f"u{number}"},
            {"kind": "access_key", "id": key, "user": user, "secret": {"file": "secret"}},
        ]
        if number not in (STRANGER, MISPLACED, MISMATCHED):
            records.append({"kind": "membership", "group": ids.groups[account], "user": user})
    for user, name in ((MISPLACED, "other-network"), (MISMATCHED, "other-item")):
        [policy] = ids.take(1)
        records += [
            _policy(policy, ids.accounts[0], name, f"{name}.json"),
            {"kind": "attachment", "policy": policy, "user": ids.users[user]},
        ]
    for user, last in ((MEASURED, "127.0.0.1/32"), (OUTSIDER, "192.0.2.0/24")):
        networks = [f"10.{number}.0.0/24" for number in range(NETWORKS - 1)] + [last]
        records.append(
            {"kind": "key_security", "user": ids.users[user], "allowed_addresses": networks}
        )
    return records


def _policy(policy, account, name, file):
    return {
        "kind": "policy",
        "id": policy,
        "account": account,
        "name": name,
        "document": {"file": file},
    }


def _write_policies(folder):
    rows = [
        ("policy", "item/*", "127.0.0.0/8"),
        ("other-network", "item/*", "192.0.2.0/24"),
        ("other-item", "item/9*", "127.0.0.0/8"),
    ]
    for name, resource, network in rows:
        statement = {
            "Sid": "s1",
            "Effect": "Allow",
            "Action": ["bench:*"],
            "Resource": [f"srn:e:::::scp-bench:{resource}"],
            "Condition": {"IpAddress": {"scp:SourceIp": [network]}},
        }
        document = {"Version": "2024-07-01", "Statement": [statement]}
        _write(folder / f"{name}.json", json.dumps(document))


def _path(route):
    return f"/api/v1/svc{route}/items/{{item_id}}"


def _definitions(public):
    lines = [
        "kind: scp-iam:action-definition",
        "service: bench",
        "service_type: scp-bench",
        "aliases: [bench]",
        "paths:",
    ]
    for route in range(ROUTES):
        lines += [
            f"  {_path(route)}:",
            "    get:",
            f"      action: bench:ShowItem{route}",
            "      access_level: Read",
            """      resources: [{"scp-bench:item": {resource_id: "path['item_id']"}}]""",
        ]
        if public:
            lines.append("      authentication: none")
    return "\n".join(lines) + "\n"


def _configuration(port, metrics_port, backend_port, public_routes, record):
    return f"""\
offering: e
workers: 1
listeners:
  - address: 127.0.0.1:{port}
    public_scheme: http
metrics: {{address: "127.0.0.1:{metrics_port}"}}
identity:
  records: [iam.yaml]
  definitions: [definitions.yaml]
services:
  bench:
    hosts: [{HOST}]
    public_routes: {json.dumps(public_routes)}
    upstream:
      url: http://127.0.0.1:{backend_port}
      identity_key: {{file: upstream.key}}
record: {{path: {record}}}
limits: {{connections_max: 10000}}
"""


def _yaml_list(records):
    # A JSON object is a YAML flow mapping; quoting keeps ids of digits alone from being numbers.
    return "".join(f"- {json.dumps(record)}\n" for record in records)


def _write(path, text):
    path.write_text(text)
    path.chmod(0o600)
