"""A script's own child processes: started pinned, ended for certain, their CPU time read.

Every child leads a session of its own, so a Ctrl-C on the terminal reaches the script alone and ending
a child's process group ends exactly what that child started. Nothing else is ever signalled. A child
ends with the thread that started it: start children in the main thread.
"""

import contextlib
import ctypes
import os
import pathlib
import resource
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
END_SECONDS_MAX = 10
LOG_LINES_SHOWN = 20
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

_libc = ctypes.CDLL(None)
_running = []


class BenchError(Exception):
    """The script cannot go on, or what it measured is not valid; the text says why."""


class Child:
    """A process started by this script."""

    def __init__(self, command, log, cores=None):
        self.command = [str(word) for word in command]
        self.log = pathlib.Path(log)

        def prepare():
            # If the script itself is killed, its children must not outlive it.
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if cores is not None:
                os.sched_setaffinity(0, cores)

        with open(self.log, "wb") as output:
            try:
                self.process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=prepare,
                )
            except OSError as error:
                raise BenchError(f"cannot start `{self.command[0]}`: {error.strerror}") from error
        self.pid = self.process.pid
        _running.append(self)

    def ended(self):
        """Whether the process has ended. Does not reap it, so its group id stays reserved."""
        if self.process.returncode is not None:
            return True
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, flags) is not None

    def wait(self, seconds):
        """Waits until the process has ended, at most so long; says whether it has."""
        deadline = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def stop(self):
        """Ends the process and its group; returns the exit status."""
        if self.process.returncode is None:
            if not self.ended():
                self.process.terminate()
                self.wait(END_SECONDS_MAX)
            # Until wait() below reaps it, the group id belongs to this child and nobody else.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()
        if self in _running:
            _running.remove(self)
        return self.process.returncode

    def kill(self):
        """Ends the process as a crash does, with SIGKILL; returns whether it still ran."""
        ran = not self.ended()
        self.process.kill()
        self.process.wait()
        if self in _running:
            _running.remove(self)
        return ran

    def memory_bytes(self):
        """Resident bytes of the process."""
        found = [line.split() for line in _read(f"/proc/{self.pid}/status").splitlines()]
        return sum(int(fields[1]) << 10 for fields in found if fields and fields[0] == "VmRSS:")

    def thread_ns(self, name):
        """On-CPU nanoseconds of the threads of this name."""
        return sum(_thread_ns(task) for task in _tasks(self.pid) if _read(task + "/comm").strip() == name)

    def finish(self, seconds):
        """Waits for a good end and returns what the process wrote."""
        if not self.wait(seconds):
            raise BenchError(f"`{self.command[0]}` did not end within {seconds} s")
        status = self.stop()
        if status != 0:
            raise BenchError(f"`{' '.join(self.command)}` failed ({status}):\n{self.log_tail()}")
        return self.log.read_text(errors="replace")

    def log_tail(self):
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join("    " + line for line in lines[-LOG_LINES_SHOWN:])

    def cpu_ns(self):
        """On-CPU nanoseconds of all threads of the process and its descendants."""
        return sum(_thread_ns(task) for pid in _tree(self.pid) for task in _tasks(pid))

    def user_system_ticks(self):
        """User and system clock ticks of the process and its descendants."""
        user = system = 0
        for pid in _tree(self.pid):
            fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
            if fields:
                user += int(fields[11])
                system += int(fields[12])
        return user, system


def run_to_end(command, log, seconds, cores=None):
    """Runs a command to its end and returns what it wrote; fails if it does or takes longer."""
    child = Child(command, log, cores)
    try:
        return child.finish(seconds)
    finally:
        child.stop()


def stop_all():
    """Ends every child that still runs, last started first."""
    for child in reversed(_running[:]):
        child.stop()


def core_distance_ns(program, log, first_core, second_core):
    """Nanoseconds of a round trip between two cores, by the program of that name."""
    child = Child([program], log, {first_core, second_core})
    try:
        deadline = time.monotonic() + END_SECONDS_MAX
        while len(threads := _tasks(child.pid)) < 2:
            if child.ended() or time.monotonic() > deadline:
                raise BenchError(f"`{program}` has no second thread:\n{child.log_tail()}")
            time.sleep(0.001)
        for thread in map(int, (os.path.basename(task) for task in threads)):
            os.sched_setaffinity(thread, {first_core if thread == child.pid else second_core})
        return int(child.finish(END_SECONDS_MAX))
    finally:
        child.stop()


def own_seconds():
    """CPU seconds of this script and of those of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def machine_seconds():
    """Seconds all cores together were busy, and seconds the hypervisor took from them."""
    fields = [
        int(field) / TICKS_PER_SECOND for field in _read("/proc/stat").split("\n")[0].split()[1:]
    ]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return user + nice + system + irq + softirq, steal


def _read(path):
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def _tasks(pid):
    try:
        return [f"/proc/{pid}/task/{task}" for task in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def _tree(pid):
    children = [int(child) for task in _tasks(pid) for child in _read(task + "/children").split()]
    return [pid] + [descendant for child in children for descendant in _tree(child)]


def _thread_ns(task):
    fields = _read(task + "/schedstat").split()
    return int(fields[0]) if fields else 0
