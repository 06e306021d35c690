"""What writers change: things whose value is known exactly as long as every answer came.

A slot is one thing after the other under one place: made, changed, removed. Its value is `None` while there
is nothing. An operation says what to send and what the value is afterwards.
"""

import dataclasses
import typing

from rig.api import group_body, password, policy_body

GONE = (404,)


@dataclasses.dataclass(frozen=True)
class Operation:
    """A request, and what it makes of the slot."""

    method: str
    target: str
    body: typing.Any
    value: typing.Any
    makes: bool = False


class Slot:
    """One thing. `parked` holds both values that it may have after a request without an answer."""

    def __init__(self, random, label):
        self.random, self.label = random, label
        self.number = 0
        self.id = self.value = None
        self.parked = None

    @property
    def name(self):
        return f"{self.label}-{self.number}"

    def some(self, choices, most):
        return frozenset(self.random.sample(choices, self.random.randint(0, most)))

    def note(self):
        return f"note {self.random.getrandbits(32)}"

    def next(self):
        """The next operation."""
        if self.value is None:
            self.number += 1
            return self.make()
        return self.change()

    def settle(self, operation, answer):
        """An operation was accepted."""
        self.value = operation.value
        if operation.makes:
            self.id = self.made(answer.json())
        elif operation.value is None:
            self.id = None

    def made(self, body):
        return body["id"]

    def __repr__(self):
        return f"`{self.name}` ({self.id})"


class Group(Slot):
    """A group: description, members, policies."""

    def __init__(self, random, label, users, policies):
        super().__init__(random, label)
        self.users, self.policies = users, policies

    def make(self):
        value = (self.note(), self.some(self.users, 3), self.some(self.policies, 2))
        note, users, policies = value
        return Operation("POST", "/v1/groups", group_body(self.name, policies, users, note), value, True)

    def made(self, body):
        return body["group"]["id"]

    def change(self):
        (note, users, policies), path = self.value, f"/v1/groups/{self.id}"
        user, policy = self.random.choice(self.users), self.random.choice(self.policies)
        match self.random.randrange(8):
            case 0:
                return Operation("DELETE", path, None, None)
            case 1 | 2 | 3:
                fresh = self.note()
                body = {"name": self.name, "description": fresh}
                return Operation("PUT", path, body, (fresh, users, policies))
            case 4 | 5 if user in users:
                return Operation("DELETE", f"{path}/members/{user}", None, (note, users - {user}, policies))
            case 4 | 5:
                return Operation("POST", f"{path}/members", {"user_id": user}, (note, users | {user}, policies))
            case _ if policy in policies:
                return Operation("DELETE", f"{path}/policy-bindings/{policy}", None, (note, users, policies - {policy}))
            case _:
                body = {"policy_ids": [policy]}
                return Operation("POST", f"{path}/policy-bindings", body, (note, users, policies | {policy}))

    def read(self, ask):
        if self.id is None and not self.find(ask):
            return None
        answer = ask(f"/v1/groups/{self.id}", GONE)
        bound = ask(f"/v1/groups/{self.id}/policy-bindings", GONE)
        if answer is None or bound is None:
            return None
        group = answer["group"]
        members = frozenset(member["user_id"] for member in group["members"])
        return group["description"], members, frozenset(policy["id"] for policy in bound["policies"])

    def find(self, ask):
        found = ask(f"/v1/groups?name={self.name}&size=100")["groups"]
        self.id = next((group["id"] for group in found if group["name"] == self.name), None)
        return self.id


class Policy(Slot):
    """A policy that nobody has: its description, and what its version in force allows."""

    def make(self):
        value = (self.note(), f"iam:Show{self.random.randrange(1000)}")
        note, action = value
        return Operation("POST", "/v1/policies", policy_body(self.name, action, description=note), value, True)

    def change(self):
        (note, action), path = self.value, f"/v1/policies/{self.id}"
        if self.random.randrange(6) == 0:
            return Operation("DELETE", path, None, None)
        fresh = self.note()
        return Operation("PUT", path, {"description": fresh}, (fresh, action))

    def read(self, ask):
        if self.id is None and not self.find(ask):
            return None
        policy = ask(f"/v1/policies/{self.id}", GONE)
        if policy is None:
            return None
        versions = {version["id"]: version for version in policy["policy_versions"]}
        document = versions[policy["default_version_id"]]["policy_document"]
        return policy["description"], document["Statement"][0]["Action"][0]

    def find(self, ask):
        found = ask(f"/v1/policies?policy_name={self.name}&size=100")["policies"]
        self.id = next((policy["id"] for policy in found if policy["policy_name"] == self.name), None)
        return self.id


class User(Slot):
    """A user: its description."""

    def __init__(self, random, label, account):
        super().__init__(random, label)
        self.path = f"/v1/accounts/{account}/users"

    def make(self):
        note = self.note()
        body = {"user_name": self.name, "password": password(), "description": note}
        return Operation("POST", self.path, body, note, True)

    def change(self):
        path = f"{self.path}/{self.id}"
        if self.random.randrange(4) == 0:
            return Operation("DELETE", path, None, None)
        note = self.note()
        return Operation("PUT", path, {"password_reuse_count": 1, "description": note}, note)

    def read(self, ask):
        if self.id is None and not self.find(ask):
            return None
        user = ask(f"{self.path}/{self.id}", GONE)
        return None if user is None else user["description"]

    def find(self, ask):
        found = ask(f"{self.path}?user_name={self.name}&size=100")["users"]
        self.id = next((user["id"] for user in found if user["user_name"] == self.name), None)
        return self.id


class Key(Slot):
    """Whether a key is on; the key stays."""

    def __init__(self, random, label, user, key):
        super().__init__(random, label)
        self.path, self.id, self.value = f"/portcullis/v1/users/{user}/access-keys", key, True

    def change(self):
        fresh = not self.value
        return Operation("PUT", f"{self.path}/{self.id}", {"is_enabled": fresh}, fresh)

    def read(self, ask):
        found = ask(self.path)["access_keys"]
        return next(key["is_enabled"] for key in found if key["access_key"] == self.id)


class Allowlist(Slot):
    """From where a user's keys may be used."""

    def __init__(self, random, label, user):
        super().__init__(random, label)
        self.path, self.value = f"/portcullis/v1/users/{user}/key-security", (False, ())

    def change(self):
        networks = [f"10.{self.random.randrange(256)}.0.0/16" for _ in range(self.random.randrange(3))]
        enabled, networks = bool(self.random.randrange(2)), tuple(sorted(set(networks)))
        body = {"allowlist_enabled": enabled, "allowed_addresses": list(networks)}
        return Operation("PUT", self.path, body, (enabled, networks))

    def read(self, ask):
        found = ask(self.path)
        return found["allowlist_enabled"], tuple(sorted(found["allowed_addresses"]))
