"""From measurements to ratios, tables and verdicts."""

import statistics

NAMES = ("nginx", "portcullis-plain", "portcullis-full")
REFERENCE = NAMES[0]
GATED = NAMES[2]
QUIET_PAIRS_MIN = 3
CORE_DISTANCE_FACTOR_MAX = 2
COLUMNS = (
    "proxy",
    "CPU us/request",
    "ratio to nginx, of pairs",
    "requests/s",
    "user share",
    "repetitions",
    "foreign cores",
    "core distance ns",
    "non-2xx",
    "socket errors",
)


def line(measurement):
    """One measurement as it happens."""
    m = measurement
    return (
        f"{m['repetition']}.{m['attempt']} {m['name']:17} {m['cpu_us']:6.2f} us/request  "
        f"{m['rps']:7.0f}/s  proxy {m['proxy_cores']:.2f} cores  "
        f"foreign {m['foreign_cores']:5.2f}  stolen {m['stolen_cores']:.2f}  "
        f"core distance {m['core_distance_ns']:3} ns"
        f"{'' if m['quiet'] else '  noisy'}"
    )


def text(measurements, caption):
    """The tables: quiet measurements alone, and all of them if that is something else."""
    quiet, last = _quiet(measurements), _last(measurements)
    names, total = {m["name"] for m in last}, len({m["repetition"] for m in last})
    parts = [caption + ".", "", "Quiet repetitions:", "", _table(quiet, names, total)]
    if len(quiet) < len(last):
        parts += ["", "All repetitions, noisy ones included:", "", _table(last, names, total)]
    return "\n".join(parts)


def failures(measurements, gate):
    """What is wrong with the figures as a whole."""
    if gate is None:
        return []
    ratios = _ratios(_quiet(measurements), GATED)
    needed = min(QUIET_PAIRS_MIN, len({m["repetition"] for m in measurements}))
    if len(ratios) < needed:
        return [f"only {len(ratios)} quiet pairs of {GATED} and {REFERENCE}: too few for the gate"]
    median = statistics.median(ratios)
    if median > gate:
        return [f"{GATED} costs {median:.3f} times {REFERENCE}, the gate is {gate:g}"]
    return []


def same_distance(one, other):
    """Whether two core distances are of one placement of the virtual cores."""
    return max(one, other) <= CORE_DISTANCE_FACTOR_MAX * min(one, other)


def _last(measurements):
    """Of each proxy and repetition the last attempt: a quiet one, or the end of the retries."""
    return list({(m["name"], m["repetition"]): m for m in measurements}.values())


def _quiet(measurements):
    return [m for m in _last(measurements) if m["quiet"]]


def _ratios(measurements, name):
    """A proxy's CPU per request over the reference's, where both ran under the same conditions."""
    reference = {m["repetition"]: m for m in measurements if m["name"] == REFERENCE}
    pairs = [
        (m, reference[m["repetition"]])
        for m in measurements
        if m["name"] == name and m["repetition"] in reference
    ]
    return [
        own["cpu_us"] / nginx["cpu_us"]
        for own, nginx in pairs
        if same_distance(own["core_distance_ns"], nginx["core_distance_ns"])
    ]


def _table(measurements, names, total):
    rows = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for name in NAMES:
        own = [m for m in measurements if m["name"] == name]
        if not own:
            if name in names:
                rows.append(f"| {name} | - | - | - | - | 0 of {total} | - | - | - | - |")
            continue
        ratios = _ratios(measurements, name)
        rows.append(
            f"| {name} | {_spread([m['cpu_us'] for m in own], '.2f')} "
            f"| {_spread(ratios, '.3f')} of {len(ratios)} "
            f"| {_spread([m['rps'] for m in own], '.0f')} "
            f"| {statistics.median(m['user_share'] for m in own):.0%} "
            f"| {len(own)} of {total} "
            f"| {_spread([m['foreign_cores'] for m in own], '.2f')} "
            f"| {_spread([m['core_distance_ns'] for m in own], '.0f')} "
            f"| {sum(m['non_2xx'] for m in own)} | {sum(m['socket_errors'] for m in own)} |"
        )
    return "\n".join(rows)


def _spread(values, form):
    """Median and range."""
    if not values:
        return "-"
    return f"{statistics.median(values):{form}} [{min(values):{form}}-{max(values):{form}}]"
