"""The IAM API as an administrator uses it: through the gateway, or straight at the control plane when that has to be."""

import random

from rig.client import Connection
from rig.processes import BenchError
from rig.product import parse_revision

COMMITTED = "portcullis-committed-revision"
MIN_REVISION = "Portcullis-Min-Revision"


class Api:
    """The administrator's connection. What is not answered well ends the script."""

    def __init__(self, product, direct=False):
        self.product = product
        self.signer = product.administrator_vouched() if direct else product.credential
        self.connection = Connection(product.ports.api if direct else product.ports.gateway, seconds=30)
        self.revision = None

    def call(self, method, target, body=None):
        """The answer to a request that has to succeed; it is decided by what was written before."""
        headers = f"{MIN_REVISION}: {self.revision}\r\n" if self.revision else ""
        answer = self.connection.ask(method, target, self.signer, body, headers)
        if not answer.good:
            raise BenchError(f"{method} {target}: {answer.describe()}")
        self.revision = answer.headers.get(COMMITTED, self.revision)
        return answer

    def committed(self):
        """The revision of the last write."""
        return parse_revision(self.revision)

    # Whom and what there is

    def user(self, name, policies=(), groups=()):
        """Makes a user; returns its id."""
        body = {"user_name": name, "password": password()}
        body |= {"policy_ids": list(policies), "group_ids": list(groups)}
        return self.call("POST", f"/v1/accounts/{self.product.account}/users", body).json()["id"]

    def key(self, user):
        """Makes an access key; returns it with its secret."""
        body = {"access_key_type": "PERMANENT"}
        made = self.call("POST", f"/portcullis/v1/users/{user}/access-keys", body).json()
        return made["access_key"]

    def policy(self, name, *actions):
        """Makes a policy that allows these actions everywhere; returns its id."""
        return self.call("POST", "/v1/policies", policy_body(name, *actions)).json()["id"]

    def group(self, name, policies=(), users=()):
        """Makes a group; returns its id."""
        return self.call("POST", "/v1/groups", group_body(name, policies, users)).json()["group"]["id"]


def policy_body(name, *actions, description=None):
    statement = {"Sid": "Rig", "Effect": "Allow", "Action": list(actions), "Resource": ["*"]}
    document = {"Version": "2024-07-01", "Statement": [statement]}
    body = {"policy_name": name, "policy_version": {"policy_document": document}}
    return body | ({"description": description} if description is not None else {})


def group_body(name, policies=(), users=(), description=None):
    lists = {"policy_ids": list(policies), "user_ids": list(users)}
    return {"name": name, "description": description} | lists


def password():
    """One that keeps the vendor's rules: no runs of neighbours, no character too often."""
    return "K7!m" + "".join(random.SystemRandom().sample("acegikoqsuwy", 8))
