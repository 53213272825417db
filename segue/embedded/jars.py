"""Apache Kafka's jars: resolved once by `jgo`, cached, and held to the checksums of the lock file beside this module."""

import contextlib
import fcntl
import hashlib
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

from segue.notes import Notes

VERSION = "4.3.1"
COORDINATE = f"org.apache.kafka:kafka_2.13:{VERSION}"
_CACHE = Path("~/.cache/jgo/envs/org/apache/kafka/kafka_2.13")


class JarsError(RuntimeError):
    """The broker's jars could not be had: the surroundings did not give them."""


def locked() -> dict[str, str]:
    """SHA-256 by file name, as committed."""
    text = resources.files("segue.embedded").joinpath(f"kafka-{VERSION}.lock").read_text()
    return {name: checksum for checksum, name in (line.split() for line in text.splitlines())}


def kafka_jars(say: Callable[[str], None] | None = None) -> list[Path]:
    """The jars of the broker; downloads them the first time (45 MB). Processes that ask at once wait for the first of them.

    Raises
    ------
    JarsError
        without a network at the first time, or where a jar is not the one that the lock names
    """
    with _one_at_a_time():
        return _kafka_jars(locked(), say or Notes())


def _kafka_jars(expected: dict[str, str], say: Callable[[str], None]) -> list[Path]:
    for folder in sorted(_CACHE.expanduser().glob("*")):
        cached = [jar for jar in sorted(folder.rglob("*.jar")) if jar.name in expected]
        if len(cached) == len(expected):
            return _checked(cached, expected)
    say(f"fetching Apache Kafka {VERSION} (45 MB, once)")
    import jgo  # slow to import, and not needed once the jars are there

    try:
        jars = [Path(jar) for jar in jgo.build(COORDINATE).all_jars]
    except Exception as error:  # jgo raises whatever its HTTP client does: nothing is carried on, only said
        raise JarsError(
            f"could not fetch {COORDINATE}: {str(error) or type(error).__name__}. A network is needed once; "
            "or set KAFKA_BOOTSTRAP_SERVERS to use a Kafka that you have"
        ) from error
    return _checked([jar for jar in jars if jar.name in expected], expected)


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    folder = _CACHE.expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("ab")
    except OSError as error:
        raise JarsError(f"{folder}: {error.strerror}, expected a folder that can be written") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _checked(jars: list[Path], expected: dict[str, str]) -> list[Path]:
    missing = expected.keys() - {jar.name for jar in jars}
    if missing:
        raise JarsError(
            f"{COORDINATE} came without {', '.join(sorted(missing))}, expected {len(expected)} jars: remove {_CACHE} and try again"
        )
    for jar in jars:
        seen = hashlib.sha256(jar.read_bytes()).hexdigest()
        if seen != expected[jar.name]:
            raise JarsError(
                f"{jar}: SHA-256 {seen[:12]}…, expected {expected[jar.name][:12]}…: remove it and try again"
            )
    return jars
