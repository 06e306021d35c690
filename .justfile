# Portcullis: the commands of daily work. `just check` is what CI runs.

# list the recipes
default:
    @just --list --unsorted

# everything CI checks: format, spelling, lints, dependencies, tests
check: _fmt-check typos lint deny test

# format the code
fmt:
    cargo fmt

# run all tests
test:
    cargo test

# clippy on everything, warnings are errors
lint:
    cargo clippy --all-targets -- -D warnings

# banned crates, licences and sources of the dependencies
deny:
    cargo deny check bans licenses sources

# spelling of code and documents
typos:
    typos

# single decisions: `just bench-policy hot`
bench-policy *arguments:
    cargo bench --bench policy -- {{ arguments }}

# who is calling, and may they: `just bench-authn scp`; `just bench-authn timing`: whether time tells which keys there are
bench-authn *arguments:
    cargo bench --bench authn -- {{ arguments }}

# the same decisions asked of other policy engines
bench-peers *arguments:
    cargo run --release --manifest-path benches/peers/Cargo.toml -- {{ arguments }}

# a million principals in memory, and decisions beside changes of policies; arguments go to the bench
bench-image *arguments:
    cargo bench --bench image -- --principals 1000000 {{ arguments }}

# load test against nginx doing plain proxying; arguments go to the script
bench-load *arguments:
    python3 benches/load/run.py {{ arguments }}

# from the API's answer to a change until the gateway decides by it, under load; arguments go to the script
bench-feed *arguments:
    python3 benches/feed/run.py {{ arguments }}

# what 100,000 users cost a gateway: memory, disk copy, starts, changes; arguments go to the script
bench-size *arguments:
    python3 benches/feed/size.py {{ arguments }}

# ten minutes of kills, cuts and spoiled feeds; a short form: `just chaos --seconds 20 --seed 1`
chaos *arguments:
    python3 tests/chaos/run.py {{ arguments }}

# boto3 and the AWS CLI against an S3 server through the gateway; with objects of 1 GiB: `just s3 --size-mib 1024`
s3 *arguments:
    cargo build --release
    python3 tests/s3/run.py --gateway target/release/portcullis {{ arguments }}

# profile-guided release build: target/pgo/portcullis
pgo:
    python3 benches/load/pgo.py

_fmt-check:
    cargo fmt --check
