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

# load test against nginx doing plain proxying; arguments go to the script
bench-load *arguments:
    python3 benches/load/run.py {{ arguments }}

# profile-guided release build: target/pgo/portcullis
pgo:
    python3 benches/load/pgo.py

_fmt-check:
    cargo fmt --check
