"""`segue topics`: create them, list them."""

import asyncio

import typer
from rich.console import Console
from rich.table import Table

from segue.cli.situation import find_settings
from streams.topics import TOPICS


def register(app: typer.Typer) -> None:
    topics = typer.Typer(help="Create or list Segue's topics.", no_args_is_help=True)
    app.add_typer(topics, name="topics")

    @topics.command()
    def create() -> None:
        """Create what is missing; again and again does no harm.

        SEGUE_PARTITIONS (4, on an embedded broker 2) and SEGUE_REPLICATION (1) say how.
        """
        from streams.runtime.admin import create_topics

        created = asyncio.run(create_topics(find_settings()))
        print(f"created {', '.join(created)}" if created else f"all {len(TOPICS)} topics are there")

    @topics.command("list")
    def list_topics() -> None:
        """What each topic is for."""
        table = Table("topic", "key", "clean-up", "what for", box=None)
        for topic in TOPICS:
            table.add_row(topic.name, topic.key, topic.cleanup, topic.about)
        Console().print(table)
