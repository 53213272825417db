"""`segue broker`: the embedded Apache Kafka alone."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    @app.command()
    def broker(
        port: Annotated[
            int | None, typer.Option(help="port on 127.0.0.1; a free one without it", min=1, max=65535)
        ] = None,
        data: Annotated[
            Path | None, typer.Option(help="folder that keeps its data; a temporary one without it")
        ] = None,
    ) -> None:
        """Run a real Apache Kafka in this terminal, without Docker or Java installed; Ctrl-C ends it.

        Other commands find it by themselves. The first time fetches 45 MB.
        """
        asyncio.run(_run(port, data))


async def _run(port: int | None, data: Path | None) -> None:
    from segue.embedded.kafka import EmbeddedKafka
    from segue.embedded.running import announce, claim, withdraw

    ended = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, ended.set)
    with claim():
        async with EmbeddedKafka(data, port=port) as kafka:
            announce(kafka.bootstrap)
            try:
                print(f"Kafka ready at {kafka.bootstrap}", flush=True)
                await ended.wait()
            finally:
                withdraw()
