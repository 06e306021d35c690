"""The bench's command line."""

import argparse
import pathlib
import tempfile

import report

# The signature of a run must not expire during it, nor the peers run out of connections.
MOST = {"reps": 1000, "secs": 240, "conns": 4096}


def parse(description):
    """The checked options; ends the process with status 2 when they make no sense."""
    parser = _parser(description)
    options = parser.parse_args()
    options.only = list(dict.fromkeys(name for name in options.only.split(",") if name))
    unknown = [name for name in options.only if name not in report.NAMES]
    if unknown or not options.only:
        parser.error(f"--only takes some of {','.join(report.NAMES)}, not `{','.join(unknown)}`")
    for option, most in MOST.items():
        if not 1 <= getattr(options, option) <= most:
            parser.error(f"--{option} takes 1 to {most}")
    if options.gate is not None and not {report.REFERENCE, report.GATED} <= set(options.only):
        parser.error(f"--gate needs {report.REFERENCE} and {report.GATED}")
    if options.pgo and (options.binary or options.no_build):
        parser.error("--pgo builds what it measures: it takes neither --binary nor --no-build")
    if options.binary:
        options.binary = options.binary.resolve()
    if options.dir is None:
        memory = pathlib.Path("/dev/shm")
        options.dir = memory if memory.is_dir() else pathlib.Path(tempfile.gettempdir())
    if not options.dir.is_dir():
        parser.error(f"--dir: `{options.dir}` is not a folder")
    if options.out and not options.out.resolve().parent.is_dir():
        parser.error(f"--out: `{options.out.resolve().parent}` is not a folder")
    return options


def _parser(description):
    parser = argparse.ArgumentParser(description=description)
    add, path = parser.add_argument, pathlib.Path
    names = ",".join(report.NAMES)
    add("--reps", type=int, default=7, help="repetitions of every proxy (7)")
    add("--secs", type=int, default=2, help="seconds of each measurement (2)")
    add("--conns", type=int, default=32, help="keep-alive connections (32)")
    add("--gate", type=float, metavar="R", help="fail when portcullis-full costs over R x nginx")
    add("--only", default=names, metavar="NAMES", help=f"some of {names}")
    add("--no-build", action="store_true", help="use what is already built")
    add("--binary", type=path, metavar="PATH", help="measure this gateway, build none")
    add("--pgo", action="store_true", help="build with a profile (pgo.py) and measure that")
    add("--out", type=path, metavar="FILE", help="write every measurement as JSON")
    add("--dir", type=path, metavar="PATH", help="where the temporary folder goes (/dev/shm)")
    add("--keep", action="store_true", help="keep the temporary folder")
    return parser
