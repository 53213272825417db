"""What Linux does for a process and its children: none outlives its parent, orphans are adopted, `ps` says what each is, some give way."""

import contextlib
import ctypes
import os
import signal
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36
_ARG_START, _ENV_END = 45, 48  # proc(5): fields of /proc/PID/stat behind the name


def die_with_parent() -> None:
    """In a child, on Linux: ask to be ended when the parent ends, however that happens."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def adopt_orphans() -> bool:
    """From now on be the parent of grandchildren whose parent has ended. Answers whether that is so: it is on Linux."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def give_way(pid: int, niceness: int) -> bool:
    """Let a child that leads a session have less of the processor than we have, where others want it. Answers whether that was all: False asks for another call.

    Linux weighs sessions against each other where it groups by them (sched(7), autogroup), and only within one its processes; and it lets who
    is not root change the weight of a session ten times a second, all of them together.
    """
    niceness = min(19, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
    try:
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))
    except BlockingIOError:
        return False
    except OSError:  # policy: there are no such groups here, or the process has ended
        pass
    return True


def name_process(name: str, command_line: str) -> None:
    """What `ps` and `top` show of this process, on Linux. The environment that it was started with is written over: nobody may need it.

    command_line : longer than that of the start
    """
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()))
    with contextlib.suppress(OSError, ValueError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ENV_END])
        text = command_line.encode()[: end - start - 1]
        ctypes.memmove(start, text.ljust(end - start, b"\0"), end - start)


def _prctl(option: int, value: object) -> bool:
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL("libc.so.6", use_errno=True).prctl(option, value) == 0)
    return False
