"""How other commands find a broker that runs already: a small file in Segue's home folder."""

import contextlib
import os
import socket
from pathlib import Path

import msgspec


class Running(msgspec.Struct, frozen=True):
    """A broker that said that it is there."""

    bootstrap: str
    pid: int


def home() -> Path:
    """Segue's folder: $SEGUE_HOME, else ~/.segue."""
    return Path(os.environ.get("SEGUE_HOME", "~/.segue")).expanduser()


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
