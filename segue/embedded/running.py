"""How other commands find a broker that runs already: a small file in Segue's home folder."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from segue.errors import InputError


class Running(msgspec.Struct, frozen=True):
    """A broker that said that it is there."""

    bootstrap: str
    pid: int


def home() -> Path:
    """Segue's folder: $SEGUE_HOME, else ~/.segue."""
    return Path(os.environ.get("SEGUE_HOME", "~/.segue")).expanduser()


@contextlib.contextmanager
def claim() -> Iterator[Path]:
    """Hold Segue's folder for this process, and answer it: one broker, or one `segue up`, at a time.

    Raises
    ------
    InputError
        where another process holds it, or it cannot be written
    """
    folder = home()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("ab")
    except OSError as error:
        raise InputError(
            f"{folder}: {error.strerror}, expected a folder that can be written: set SEGUE_HOME to one"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _taken(folder) from error
        if running_broker() is not None:  # its owner was killed, and it is still ending
            raise _taken(folder)
        yield folder


def _taken(folder: Path) -> InputError:
    return InputError(f"a Segue is already up in {folder}: stop it first, or set SEGUE_HOME to another folder")


def announce(bootstrap: str) -> None:
    """Say that a broker of this process is there."""
    home().mkdir(parents=True, exist_ok=True)
    (home() / "broker.json").write_bytes(msgspec.json.encode(Running(bootstrap, os.getpid())))


def withdraw() -> None:
    """Take it back, unless another process has said so since."""
    file = home() / "broker.json"
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        if msgspec.json.decode(file.read_bytes(), type=Running).pid == os.getpid():
            file.unlink()


def running_broker() -> str | None:
    """The address of a running embedded broker, or None."""
    try:
        running = msgspec.json.decode((home() / "broker.json").read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return None
    host, _, port = running.bootstrap.split(",")[0].rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1.0):
        return running.bootstrap
    return None
