"""People as records of the feed: accounts, users with a key each, groups, policies; and changes to them."""

import json
import random
import uuid

from rig.client import Credential

USERS_PER_GROUP = 100
GROUPS_PER_ACCOUNT = 10
DEFINITION = """kind: scp-iam:action-definition
service: SERVICE
service_type: scp-SERVICE
paths:
  /v1/SERVICE/groups:
    get: {action: "SERVICE:ListGroups", access_level: List}
"""
TARGET = "/v1/iam/groups"


def compact(record):
    return json.dumps(record, separators=(",", ":"))


def statement(action):
    return {"Effect": "Allow", "Action": [action], "Resource": ["*"]}


class Population:
    """The records, and who can be asked to try them."""

    def __init__(self, users, sealer, seed):
        self.random, self.sealer = random.Random(seed), sealer
        self.records, self.people = {}, []
        for service in ("iam", "portcullis"):
            text = DEFINITION.replace("SERVICE", service)
            self.put(f"definition/{service}", kind="definition", service=service, document=text)
        account = group = policy = None
        for number in range(users):
            if number % (USERS_PER_GROUP * GROUPS_PER_ACCOUNT) == 0:
                account = self.id()
                self.put(f"account/{account}", kind="account", id=account, name="account", active=True)
            if number % USERS_PER_GROUP == 0:
                group, policy = self.id(), self.id()
                self.put(f"group/{group}", kind="group", id=group, account=account, name=f"group-{number}")
                self.records.update([self.policy(policy, account, 0)])
                self.records.update([self.attachment(policy, "group", group)])
            self.person(account, group, policy, number)

    def id(self):
        return f"{self.random.getrandbits(128):032x}"

    def put(self, key, **record):
        self.records[key] = compact(record)

    def person(self, account, group, policy, number):
        user, key = self.id(), self.id()
        secret = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        self.put(f"user/{user}", kind="user", id=user, account=account, name=f"user-{number}", root=False, active=True)
        sealed = self.sealer.seal(secret.encode(), f"access_key/{key}/{user}".encode())
        person = (account, group, policy, user, key, sealed, Credential(key, secret))
        self.records.update([self.access_key(person, True), self.membership(group, user)])
        self.people.append(person)

    @staticmethod
    def access_key(person, enabled):
        _account, _group, _policy, user, key, sealed, _credential = person
        record = {"kind": "access_key", "id": key, "user": user, "secret": {"sealed": sealed}, "enabled": enabled}
        return f"access_key/{key}", compact(record)

    @staticmethod
    def membership(group, user):
        return f"membership/{group}/{user}", compact({"kind": "membership", "group": group, "user": user})

    @staticmethod
    def attachment(policy, kind, whom):
        return f"attachment/{policy}/{kind}/{whom}", compact({"kind": "attachment", "policy": policy, kind: whom})

    @staticmethod
    def policy(policy, account, version):
        statements = [statement("*[List,Read]"), statement(f"iam:Show{version}"), statement("portcullis:*")]
        document = compact({"Version": "2024-07-01", "Statement": statements})
        return f"policy/{policy}", compact(
            {"kind": "policy", "id": policy, "name": f"policy-{version}", "account": account, "document": document}
        )

    @staticmethod
    def allowlist(user, networks):
        return f"key_security/{user}", compact({"kind": "key_security", "user": user, "allowed_addresses": networks})

    def change(self, number):
        """The changes of one write: the kinds in turn, each on somebody at random; the state stays about as large."""
        person = self.random.choice(self.people)
        account, group, policy, user, key, _sealed, _credential = person
        membership, attachment = self.membership(group, user), self.attachment(policy, "user", user)

        def toggled(key, record):
            return [(key, None if key in self.records else record)]

        kinds = [
            lambda: [self.access_key(person, '"enabled":false' in self.records[f"access_key/{key}"])],
            lambda: toggled(*membership),
            lambda: toggled(*attachment),
            lambda: [self.allowlist(user, [f"10.{number % 256}.0.0/16"])],
            lambda: [self.policy(policy, account, number)],
        ]
        changes = kinds[number % len(kinds)]()
        for changed, record in changes:
            if record is None:
                self.records.pop(changed, None)
            else:
                self.records[changed] = record
        return changes
