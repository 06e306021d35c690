"""What goes wrong: processes killed, ended and started again, and the feed spoiled. All in the main thread."""

import shutil
import time

START_SECONDS_MAX = 15
PAUSE_SECONDS = (0.05, 1.2)
DOWN_SECONDS_MAX = 1.5
ALONE_SECONDS_MAX = 2.0
# Started and left to itself: the next fault may hit it while it starts.
HASTE = 0.3
SUMMED = (
    "portcullis_feed_snapshots_total",
    "portcullis_feed_commits_total",
    "portcullis_feed_digest_mismatches_total",
    "portcullis_feed_unreadable_records_total",
    "portcullis_feed_refused_steps_total",
    "portcullis_disk_copy_failures_total",
)


class Faults:
    """Chooses and does."""

    def __init__(self, product, proxy, record, random):
        self.product, self.proxy, self.record, self.random = product, proxy, record, random
        self.sums = dict.fromkeys(SUMMED, 0.0)
        self.longest_start = 0.0
        # Whether the disk copy on the disk is one that must be refused, and how often a gateway has met such a one.
        self.is_damaged, self.damaged_met = False, 0
        self.kinds = {
            self.spoil_feed: 10,
            self.kill_control: 4,
            self.kill_gateway: 4,
            self.kill_both: 2,
            self.gateway_alone: 2,
            self.spoil_copy: 2,
            self.new_epoch: 1,
            self.restart_control: 1,
            self.restart_gateway: 1,
        }

    def step(self):
        """Waits a while, then something goes wrong."""
        time.sleep(self.random.uniform(*PAUSE_SECONDS))
        self.look()
        [kind] = self.random.choices(list(self.kinds), list(self.kinds.values()))
        kind()

    # Kinds

    def spoil_feed(self):
        self.proxy.fault()

    def kill_control(self):
        self.end_control()
        self.wait()
        self.start_control(self.random.random() > HASTE)

    def kill_gateway(self):
        self.end_gateway()
        self.wait()
        self.start_gateway(self.random.random() > HASTE)

    def kill_both(self):
        for end in self.shuffled(self.end_control, self.end_gateway):
            end()
        self.wait()
        for start in self.shuffled(self.start_control, self.start_gateway):
            start(False)
        self.both_ready()

    def gateway_alone(self):
        """The gateway starts while the control plane is away: it has to decide by its disk copy."""
        # Which is whole once anything is in force, whatever was done to the one before.
        self.both_ready()
        highest = self.record.served.now()
        for end in self.shuffled(self.end_control, self.end_gateway):
            end()
        self.start_gateway(True)
        found = self.product.gateway_revision()
        if found is None or found[0] < highest:
            self.record.violation(f"alone, the gateway has {found}; {highest} had been served")
        self.record.count("starts from the disk copy alone")
        time.sleep(self.random.uniform(0, ALONE_SECONDS_MAX))
        self.start_control(True)

    def spoil_copy(self):
        """The gateway loses its disk copy, or a byte of it: everything has to come again."""
        self.end_gateway()
        folder = self.product.folder / "gateway-copy"
        if self.random.random() < 0.5:
            self.record.count("disk copies removed")
            self.is_damaged = False
            shutil.rmtree(folder, ignore_errors=True)
        else:
            self.record.count("disk copies damaged")
            self.is_damaged = True
            path = folder / self.random.choice(["image", "journal", "highest"])
            if path.is_file() and (data := bytearray(path.read_bytes())):
                data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
                path.write_bytes(data)
        self.start_gateway(self.random.random() > HASTE)

    def new_epoch(self):
        """As after a restore: every gateway has to take everything anew, and never to go back to the epoch before."""
        self.record.count("new epochs")
        self.end_control()
        self.product.begin_epoch()
        self.start_control(self.random.random() > HASTE)

    def restart_control(self):
        self.record.count("control plane ended")
        self.judge(self.product.control.stop(), "control plane")
        self.start_control(True)

    def restart_gateway(self):
        self.record.count("gateway ended")
        self.sum_up()
        self.judge(self.product.gateway.stop(), "gateway")
        self.start_gateway(True)

    # How

    def shuffled(self, *acts):
        return self.random.sample(acts, len(acts))

    def wait(self):
        time.sleep(self.random.uniform(0, DOWN_SECONDS_MAX) * self.random.randrange(2))

    def judge(self, status, what):
        if status != 0:
            self.record.violation(f"the {what} ended with {status} when it was told to")

    def end_control(self):
        self.record.count("control plane killed")
        if not self.product.control.kill():
            self.record.violation(f"the control plane ended by itself:\n{self.product.control.log_tail()}")

    def end_gateway(self):
        self.record.count("gateway killed")
        self.sum_up()
        if not self.product.gateway.kill():
            self.record.violation(f"the gateway ended by itself:\n{self.product.gateway.log_tail()}")

    def start_control(self, wait):
        self.product.start_control(ready=False)
        self.record.generation += 1
        if wait:
            self.await_ready("control plane", self.product.control, self.product.control_ready)

    def start_gateway(self, wait):
        self.damaged_met += self.is_damaged
        self.product.start_gateway(ready=False)
        if wait:
            self.await_ready("gateway", self.product.gateway, self.product.gateway_ready)

    def both_ready(self):
        product = self.product
        self.await_ready("control plane", product.control, product.control_ready)
        self.await_ready("gateway", product.gateway, product.gateway_ready)

    def await_ready(self, what, child, ready):
        began = time.monotonic()
        while not ready():
            if child.ended() or time.monotonic() > began + START_SECONDS_MAX:
                state = "ended" if child.ended() else f"not ready after {START_SECONDS_MAX} s"
                self.record.violation(f"the {what} has been started and is {state}:\n{child.log_tail()}")
                return
            time.sleep(0.01)
        self.longest_start = max(self.longest_start, time.monotonic() - began)

    def look(self):
        """Which digests both sides show now."""
        found = self.product.gateway_revision()
        if found:
            self.record.digest(*found, "the gateway")
        shown = self.product.control_revision()
        if shown:
            self.record.digest(*shown, "the control plane")

    def sum_up(self):
        """The gateway's counters, which end with it."""
        if self.product.gateway_revision():
            # Whatever it had to refuse is replaced.
            self.is_damaged = False
        metrics = self.product.metrics()
        for name in SUMMED:
            self.sums[name] += metrics.get(name, 0)

    def end(self):
        """Nothing goes wrong any more."""
        self.proxy.heal()
        for what, child, start in (
            ("control plane", self.product.control, self.start_control),
            ("gateway", self.product.gateway, self.start_gateway),
        ):
            if child.ended():
                self.record.violation(f"the {what} ended by itself:\n{child.log_tail()}")
                start(True)
        self.both_ready()
