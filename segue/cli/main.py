"""The entry point: commands, and one clear line for every error that is not a bug."""

import errno
import logging
import os
import sys

import typer

from segue.cli import (
    ask,
    bench,
    broker,
    compare,
    dead_letters,
    evaluate,
    forget,
    produce,
    replay,
    rows,
    simulate,
    topics,
    up,
    worker,
)
from segue.errors import InputError, SegueError, SituationError

app = typer.Typer(
    name="segue",
    help="Segue, a streaming real-time music recommender: events in, playlists out, over Kafka.\n\n"
    "Begin with `segue up`: a broker, all workers and simulated listeners in this terminal. Then, from another one: "
    "`segue playlist USER --explain`, `segue listener USER`, `segue tail playlists`. "
    "Your own log without a broker: `segue replay --from spotify-export PATH`.\n\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage, or a file that cannot be used; 130 where Ctrl-C ended what does not end by it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
for module in (
    up,
    worker,
    simulate,
    produce,
    ask,
    rows,
    forget,
    dead_letters,
    replay,
    evaluate,
    compare,
    topics,
    bench,
    broker,
):
    module.register(app)


def main() -> None:
    """Run the command line; ends the process with its exit code. Wrong options are reported by typer itself, with 2."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a command says itself what failed; workers set their own
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # whoever reads has read enough
            sys.exit(0)
        raise
    except SegueError as error:
        _end(error, error.exit_code)
    except OSError as error:
        if error.errno not in (errno.EPIPE, *_FULL):
            raise
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # what could not be written is not tried again at the end
        if error.errno == errno.EPIPE:
            sys.exit(0)
        _end(f"cannot write what is to be said: {error.strerror}", SituationError.exit_code)
    except _known_errors() as error:
        from streams.runtime.settings import NoKafkaError, SettingsError

        unreachable = type(error).__name__ == "KafkaConnectionError"
        given = isinstance(error, SettingsError) and not isinstance(error, NoKafkaError)
        text = (
            f"{error.args[0] if error.args else error}: is it running? KAFKA_BOOTSTRAP_SERVERS says where"
            if unreachable
            else str(error)
        )
        _end(text, InputError.exit_code if given else SituationError.exit_code)


def _end(error: Exception | str, code: int) -> None:
    sys.stderr.write(f"segue: {error}\n")
    sys.exit(code)


def _known_errors() -> tuple[type[Exception], ...]:
    """Errors of the surroundings, whose text says enough; imported only when something failed."""
    from aiokafka.errors import KafkaError

    from segue.embedded.jars import JarsError
    from segue.embedded.kafka import BrokerError
    from streams.runtime.access import AccessError
    from streams.runtime.admin import TopicsError
    from streams.runtime.settings import SettingsError

    return (KafkaError, JarsError, BrokerError, AccessError, TopicsError, SettingsError)


if __name__ == "__main__":
    main()
