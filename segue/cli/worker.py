"""`segue worker`: one process of the cluster; run as many as you like."""

from enum import StrEnum
from typing import Annotated

import typer

from segue.cli.situation import find_settings


class Kind(StrEnum):
    """What a worker does."""

    learner = "learner"
    keeper = "keeper"
    serving = "serving"


def register(app: typer.Typer) -> None:
    @app.command()
    def worker(kind: Annotated[Kind, typer.Argument(help="learner, keeper or serving")]) -> None:
        """Run one worker until SIGTERM or Ctrl-C.

        Workers of a kind share the partitions; killed at any moment, the next one goes on where it was. Settings come from the
        environment: KAFKA_BOOTSTRAP_SERVERS, SEGUE_TOPIC_PREFIX, SEGUE_MEMBER (its own name, where it is started again under it),
        SEGUE_LISTENER_ROWS_MB, and KAFKA_* for TLS and SASL; docs/operations.md has all of them.
        """
        settings = find_settings()
        if kind is Kind.learner:
            from streams.runtime.learner import run
        elif kind is Kind.keeper:
            from streams.runtime.keeper import run
        else:
            from serving.runtime.worker import run
        from streams.runtime.run import run_process

        run_process(run(settings))
