#!/usr/bin/env python3
"""Real S3 clients (boto3, the AWS CLI, restic) against a real S3 server (s3s-fs) through the gateway of config/examples/s3.

The server verifies the gateway's signatures, the gateway the clients'. Prints versions and one line for each thing done; ends with 0 only
when all went as it should. Needs boto3, `aws`, `restic` and `s3s-fs` (`cargo install s3s-fs --version 0.14.1 --locked --features binary`).
"""

import argparse
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest.mock
import urllib.error
import urllib.request

import boto3
import botocore
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "config/examples/s3"
OWNER, READER = "a1b2c3d4e5f60718293a4b5c6d7e8f90", "b754b12b39da4ce29a40c5e324650bd0"
PIECE = 1024 * 1024

done = 0


def say(what, started=None):
    global done
    done += 1
    took = "" if started is None else f"  {time.monotonic() - started:.2f} s"
    print(f"ok   {what}{took}", flush=True)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(port, program):
    for _ in range(200):
        if program.poll() is not None:
            raise SystemExit(f"{program.args[0]} ended with {program.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def write_large(path, mib):
    """A file in which no stretch repeats; its SHA-256."""
    whole = hashlib.sha256()
    with open(path, "wb") as file:
        for number in range(mib):
            piece = hashlib.shake_128(number.to_bytes(8, "big")).digest(PIECE)
            whole.update(piece)
            file.write(piece)
    return whole.hexdigest()


def sha256_of(stream):
    whole = hashlib.sha256()
    while piece := stream.read(PIECE):
        whole.update(piece)
    return whole.hexdigest()


def refused(call, code, what):
    try:
        call()
    except ClientError as error:
        seen = error.response["Error"]["Code"]
        assert seen == code, f"{what}: {seen} instead of {code}: {error}"
        say(f"{what}: {code}")
        return
    raise AssertionError(f"{what} was not refused")


class World:
    def __init__(self, options, folder):
        self.folder = folder
        self.port, self.backend = options.ports or (free_port(), free_port())
        shutil.copytree(EXAMPLE, folder / "example")
        config = folder / "example/gateway.yaml"
        text = config.read_text().replace("8080", str(self.port)).replace("8014", str(self.backend)).replace("127.0.0.1:9180", "127.0.0.1:0")
        self.watched = free_port()
        text = text.replace('hosts: [', f'hosts: ["127.0.0.1:{self.watched}", ')
        config.write_text(text)
        secret = (EXAMPLE / "secrets/backend.secret").read_text().strip()
        (folder / "objects").mkdir()
        self.programs = []
        log = open(folder / "log", "wb")
        for port, command in [
            (self.backend, [options.server, "--host", "127.0.0.1", "--port", str(self.backend), "--access-key", "portcullis",
                            "--secret-key", secret, str(folder / "objects")]),
            (self.port, [options.gateway, "gateway", "--config", str(config)]),
        ]:
            program = subprocess.Popen(command, stdout=log, stderr=log)
            self.programs.append(program)
            wait_for(port, program)

    def stop(self):
        for program in reversed(self.programs):
            program.terminate()
            program.wait(20)

    def secret(self, key):
        return (EXAMPLE / f"secrets/{'owner' if key == OWNER else 'reader'}.secret").read_text().strip()

    def client(self, key, scheme="http", style="path", host="127.0.0.1", secret=None, **config):
        config = Config(signature_version="s3v4", retries={"max_attempts": 1}, s3={"addressing_style": style}, **config)
        return boto3.client("s3", endpoint_url=f"{scheme}://{host}:{self.port}", region_name="us-east-1", aws_access_key_id=key,
                            aws_secret_access_key=secret or self.secret(key), config=config)

    def streaming_client(self):
        """boto3 sends trailing checksums over https only. The gateway stands behind a TLS terminator then; here the client's own
        connection is the terminator: what was signed and encoded for https is sent in clear."""
        client = self.client(OWNER, scheme="https")

        def in_clear(request, **_):
            request.url = request.url.replace("https://", "http://", 1)

        client.meta.events.register("before-send.s3", in_clear)
        return client

    def records(self):
        lines = (self.folder / "example/decisions.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def aws(self, *arguments):
        # Without this, version 1 of the program presigns with version 2 of the signatures.
        config = self.folder / "aws.config"
        config.write_text("[default]\ns3 =\n  signature_version = s3v4\n")
        environment = dict(os.environ, AWS_ACCESS_KEY_ID=OWNER, AWS_SECRET_ACCESS_KEY=self.secret(OWNER), AWS_DEFAULT_REGION="us-east-1",
                           AWS_CONFIG_FILE=str(config), AWS_SHARED_CREDENTIALS_FILE="/dev/null", AWS_MAX_ATTEMPTS="1")
        command = ["aws", "--endpoint-url", f"http://127.0.0.1:{self.port}", *arguments]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
        return ended.stdout


def objects(world):
    owner = world.client(OWNER)
    owner.create_bucket(Bucket="photos")
    owner.create_bucket(Bucket="diary")
    assert sorted(bucket["Name"] for bucket in owner.list_buckets()["Buckets"]) == ["diary", "photos"]
    owner.head_bucket(Bucket="photos")
    say("buckets: create, list, head")
    for key in ["plain.txt", "a b/c+d/한글 (1)~!*'.txt", "private/letter.txt", "deep/er/and/deeper", "empty"]:
        body = b"" if key == "empty" else f"the content of {key}".encode()
        owner.put_object(Bucket="photos", Key=key, Body=body, Metadata={"colour": "green"}, ContentType="text/plain")
        got = owner.get_object(Bucket="photos", Key=key)
        assert got["Body"].read() == body and got["Metadata"] == {"colour": "green"}, key
    say("objects: put and get, with odd keys and metadata")
    assert owner.get_object(Bucket="photos", Key="plain.txt", Range="bytes=4-10")["Body"].read() == b"content"
    assert owner.head_object(Bucket="photos", Key="plain.txt")["ContentLength"] == 24
    say("objects: range, head")
    listed = owner.list_objects_v2(Bucket="photos", Prefix="deep/")
    assert [entry["Key"] for entry in listed["Contents"]] == ["deep/er/and/deeper"], listed
    assert len(owner.list_objects(Bucket="photos")["Contents"]) == 5
    say("objects: list, both versions")
    url = owner.generate_presigned_url("get_object", Params={"Bucket": "photos", "Key": "plain.txt"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == b"the content of plain.txt"
    url = owner.generate_presigned_url("put_object", Params={"Bucket": "photos", "Key": "by-url"}, ExpiresIn=60)
    assert urllib.request.urlopen(urllib.request.Request(url, b"sent with a URL", method="PUT")).status == 200
    assert owner.get_object(Bucket="photos", Key="by-url")["Body"].read() == b"sent with a URL"
    say("presigned: get, put")
    try:
        urllib.request.urlopen(url.replace("by-url", "by-uri"))
        raise AssertionError("another URL than the presigned one was served")
    except urllib.error.HTTPError as error:
        assert error.code == 401 and b"<Code>SignatureDoesNotMatch</Code>" in error.read()
        say("presigned, changed: SignatureDoesNotMatch")
    owner.delete_object(Bucket="photos", Key="by-url")
    refused(lambda: owner.get_object(Bucket="photos", Key="by-url"), "NoSuchKey", "deleted, the server's own error")


def streamed(world):
    streaming = world.streaming_client()
    for algorithm in ["CRC32", "SHA1", "SHA256"]:
        body = hashlib.shake_128(algorithm.encode()).digest(3 * PIECE + 17)
        streaming.put_object(Bucket="photos", Key=f"chunks/{algorithm}", Body=body, ChecksumAlgorithm=algorithm)
        assert world.client(OWNER).get_object(Bucket="photos", Key=f"chunks/{algorithm}")["Body"].read() == body
    streaming.put_object(Bucket="photos", Key="chunks/empty", Body=b"")
    assert world.client(OWNER).get_object(Bucket="photos", Key="chunks/empty")["Body"].read() == b""
    say("chunks with a checksum behind them (STREAMING-UNSIGNED-PAYLOAD-TRAILER)")


def hosted(world):
    real = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **more: real("127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more)
    client = world.client(OWNER, style="virtual", host="localhost")
    client.put_object(Bucket="photos", Key="hosted/a b", Body=b"of a bucket in the host")
    assert client.get_object(Bucket="photos", Key="hosted/a b")["Body"].read() == b"of a bucket in the host"
    assert world.client(OWNER).get_object(Bucket="photos", Key="hosted/a b")["Body"].read() == b"of a bucket in the host"
    assert client.list_objects_v2(Bucket="photos", Prefix="hosted/")["KeyCount"] == 1
    say("buckets in hosts: put, get, list")


def decisions(world):
    reader = world.client(READER)
    assert reader.get_object(Bucket="photos", Key="plain.txt")["Body"].read() == b"the content of plain.txt"
    assert reader.list_objects_v2(Bucket="photos")["KeyCount"] >= 5
    say("the reader reads")
    refused(lambda: reader.get_object(Bucket="photos", Key="private/letter.txt"), "AccessDenied", "the reader, a private object")
    refused(lambda: reader.get_object(Bucket="photos", Key="private//letter.txt"), "InvalidURI", "a private object, spelt as another key")
    refused(lambda: reader.get_object(Bucket="photos", Key="plain.txt/"), "InvalidURI", "an object, spelt as a folder")
    refused(lambda: reader.put_object(Bucket="photos", Key="plain.txt", Body=b"x"), "AccessDenied", "the reader writing")
    refused(lambda: reader.list_objects_v2(Bucket="diary"), "AccessDenied", "the reader, another bucket")
    refused(lambda: reader.delete_object(Bucket="photos", Key="plain.txt"), "AccessDenied", "the reader deleting")
    owner = world.client(OWNER)
    source = {"Bucket": "photos", "Key": "plain.txt"}
    refused(lambda: owner.copy_object(Bucket="diary", Key="copy", CopySource=source), "AccessDenied", "copying")
    refused(lambda: owner.put_bucket_policy(Bucket="photos", Policy="{}"), "AccessDenied", "what the definitions do not have")
    wrong = world.client(OWNER, secret="not the secret of this key")
    refused(lambda: wrong.list_buckets(), "SignatureDoesNotMatch", "a wrong secret")
    unknown = world.client("00000000000000000000000000000000", secret="a secret of nobody's")
    refused(lambda: unknown.list_buckets(), "SignatureDoesNotMatch", "an unknown key")
    past = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - datetime.timedelta(hours=1)
    with unittest.mock.patch("botocore.auth.get_current_datetime", return_value=past):
        refused(lambda: world.client(OWNER).list_buckets(), "RequestTimeTooSkewed", "a clock that is an hour late")


def large(world, mib):
    owner = world.client(OWNER, read_timeout=300)
    path = world.folder / "large"
    sha256 = write_large(path, mib)
    started = time.monotonic()
    owner.upload_file(str(path), "photos", "large/parts", Config=TransferConfig(multipart_chunksize=16 * PIECE, max_concurrency=4))
    say(f"{mib} MiB in parts", started)
    started = time.monotonic()
    assert sha256_of(owner.get_object(Bucket="photos", Key="large/parts")["Body"]) == sha256
    say(f"{mib} MiB in one answer", started)
    started = time.monotonic()
    with open(path, "rb") as file:
        owner.put_object(Bucket="photos", Key="large/one", Body=file)
    say(f"{mib} MiB in one request, signed by its hash", started)
    started = time.monotonic()
    with open(path, "rb") as file:
        world.streaming_client().put_object(Bucket="photos", Key="large/chunks", Body=file, ChecksumAlgorithm="CRC32")
    say(f"{mib} MiB in chunks", started)
    for key in ["large/one", "large/chunks"]:
        owner.download_file("photos", key, str(world.folder / "back"), Config=TransferConfig(max_concurrency=4))
        with open(world.folder / "back", "rb") as file:
            assert sha256_of(file) == sha256, key
    say("and they came back as they were, in ranges")


def command_line(world, mib):
    path = world.folder / "large"
    world.aws("s3", "mb", "s3://cli")
    world.aws("s3", "cp", "--no-progress", str(path), "s3://cli/in parts")
    world.aws("s3", "cp", "--no-progress", "s3://cli/in parts", str(world.folder / "back"))
    assert path.read_bytes() == (world.folder / "back").read_bytes()
    assert "in parts" in world.aws("s3", "ls", "s3://cli/")
    world.aws("s3api", "put-object", "--bucket", "cli", "--key", "one", "--body", str(EXAMPLE / "gateway.yaml"))
    assert json.loads(world.aws("s3api", "head-object", "--bucket", "cli", "--key", "one"))["ContentLength"] > 0
    url = world.aws("s3", "presign", "s3://cli/one").strip()
    assert urllib.request.urlopen(url).read() == (EXAMPLE / "gateway.yaml").read_bytes()
    world.aws("s3", "rm", "--recursive", "s3://cli/")
    world.aws("s3", "rb", "s3://cli")
    say(f"aws: mb, cp of {mib} MiB both ways, ls, put-object, head-object, presign, rm, rb")


class Watch:
    """Passes connections on to the gateway, and counts what clients send."""

    def __init__(self, port, gateway, wanted):
        self.seen, self.wanted, self.gateway = 0, wanted, gateway
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            gateway = socket.create_connection(("127.0.0.1", self.gateway))
            threading.Thread(target=self.pump, args=(client, gateway, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(gateway, client, False), daemon=True).start()

    def pump(self, source, sink, counts):
        kept = b""
        try:
            while piece := source.recv(1 << 16):
                if counts:
                    seen = kept + piece
                    self.seen += seen.count(self.wanted)
                    kept = seen[-(len(self.wanted) - 1):]
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def backup(world):
    """restic uploads in chunks that are signed one by one. Its `check` and `prune` do not work with this server, which leaves
    folders out of lists, with or without a gateway."""
    watch = Watch(world.watched, world.port, b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\n")
    environment = dict(os.environ, AWS_ACCESS_KEY_ID=OWNER, AWS_SECRET_ACCESS_KEY=world.secret(OWNER), RESTIC_PASSWORD="of the backup",
                       RESTIC_REPOSITORY=f"s3:http://127.0.0.1:{world.watched}/backup", RESTIC_CACHE_DIR=str(world.folder / "cache"))

    def restic(*arguments):
        ended = subprocess.run(["restic", *arguments], env=environment, capture_output=True, text=True, timeout=300)
        assert ended.returncode == 0, f"restic {arguments}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    restic("init")
    restic("backup", str(world.folder / "large"))
    assert watch.seen >= 5, f"{watch.seen} uploads in signed chunks"
    restic("restore", "latest", "--target", str(world.folder / "restored"))
    restored = world.folder / "restored" / (world.folder / "large").relative_to("/")
    assert restored.read_bytes() == (world.folder / "large").read_bytes()
    size = restored.stat().st_size // PIECE
    say(f"restic: init, backup of {size} MiB in {watch.seen} uploads in signed chunks, restore")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateway", required=True, help="the program `portcullis`")
    parser.add_argument("--server", default=shutil.which("s3s-fs"), help="the program `s3s-fs`; found in PATH")
    parser.add_argument("--size-mib", type=int, default=24, help="size of the large objects")
    parser.add_argument("--ports", type=int, nargs=2, help="where gateway and server listen; by default wherever there is room")
    options = parser.parse_args()
    if not options.server:
        raise SystemExit("there is no `s3s-fs`: cargo install s3s-fs --version 0.14.1 --locked --features binary")
    version = lambda *command: subprocess.run(command, capture_output=True, text=True).stdout.strip()
    print("boto3", boto3.__version__, "botocore", botocore.__version__)
    print(version("aws", "--version"))
    print(version("restic", "version"))
    print(version(options.server, "--version"))
    with tempfile.TemporaryDirectory() as folder:
        world = World(options, pathlib.Path(folder))
        try:
            objects(world)
            streamed(world)
            hosted(world)
            large(world, options.size_mib)
            command_line(world, options.size_mib)
            backup(world)
            decisions(world)
        except BaseException:
            print((world.folder / "log").read_text()[-4000:], file=sys.stderr)
            for record in world.records()[-6:]:
                print(json.dumps(record), file=sys.stderr)
            raise
        finally:
            world.stop()
    print(f"all of {done} as they should be")


if __name__ == "__main__":
    main()
