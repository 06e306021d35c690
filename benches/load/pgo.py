#!/usr/bin/env python3
"""Builds the gateway with a profile of its own work: target/pgo/portcullis. README.md says what it is worth.

An instrumented gateway serves the bench's two loads, refusals included, then the compiler lays out the final
build by what was run. Needs `llvm-tools` of the same toolchain (`rustup component add llvm-tools`)."""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target/pgo"
MINUTES_MAX = 60


def main():
    profdata = find_profdata()
    profiles, merged = WORK / "profiles", WORK / "merged.profdata"
    shutil.rmtree(profiles, ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    instrumented = build("instrumented", f"-Cprofile-generate={profiles}")
    train = [sys.executable, HERE / "run.py", "--binary", instrumented, "--reps", "1", "--secs", "2"]
    # No comparison and no gate: the figures of an instrumented build mean nothing.
    run([*train, "--only", "portcullis-plain,portcullis-full"])
    found = sorted(profiles.glob("*.profraw"))
    if not found:
        sys.exit("error: the instrumented gateway left no profile; it has to end by SIGTERM")
    run([profdata, "merge", "-o", merged, *found])
    final = build("final", f"-Cprofile-use={merged}")
    shutil.copy2(final, WORK / "portcullis")
    print(WORK / "portcullis")


def find_profdata():
    """The compiler's own: a newer or older LLVM does not read its profiles."""
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], check=True, capture_output=True, text=True)
    for found in pathlib.Path(sysroot.stdout.strip()).glob("lib/rustlib/*/bin/llvm-profdata"):
        return found
    sys.exit("error: no llvm-profdata beside rustc: `rustup component add llvm-tools`")


def build(name, flag):
    """One release build with `flag` in a target folder of its own."""
    target = WORK / name
    flags = f"{os.environ.get('RUSTFLAGS', '')} {flag}".strip()
    environment = {**os.environ, "RUSTFLAGS": flags, "CARGO_TARGET_DIR": str(target)}
    run(["cargo", "build", "--release", "--manifest-path", ROOT / "Cargo.toml"], environment)
    return target / "release/portcullis"


def run(command, environment=None):
    ended = subprocess.run([str(part) for part in command], env=environment, timeout=MINUTES_MAX * 60)
    if ended.returncode != 0:
        sys.exit(f"error: `{command[0]}` ended with {ended.returncode}")


if __name__ == "__main__":
    main()
