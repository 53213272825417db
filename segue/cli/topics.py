"""`segue topics`: create them, list them, say who needs which rights on them."""

import asyncio
import os
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from segue.cli.grow import grow
from segue.cli.situation import find_settings
from segue.errors import InputError
from streams.rights import KINDS, acl_lines
from streams.topics import TOPICS


def register(app: typer.Typer) -> None:
    topics = typer.Typer(
        help="Create, list or grow Segue's topics; print the rights that processes need.", no_args_is_help=True
    )
    app.add_typer(topics, name="topics")

    @topics.command()
    def create() -> None:
        """Create what is missing; again and again does no harm.

        SEGUE_PARTITIONS (4; 2 on an embedded broker that is found by itself) and SEGUE_REPLICATION (1) say how.
        """
        from streams.runtime.admin import create_topics, kept_count, topics_there

        settings = find_settings()
        created = asyncio.run(create_topics(settings))
        print(f"created {', '.join(created)}" if created else f"all {len(TOPICS)} topics are there")
        if os.environ.get("SEGUE_PARTITIONS") and (told := kept_count(settings, asyncio.run(topics_there(settings)))):
            print(told)

    @topics.command("list")
    def list_topics() -> None:
        """What each topic is for."""
        table = Table("topic", "key", "clean-up", "what for", box=None)
        for topic in TOPICS:
            table.add_row(topic.name, topic.key, topic.cleanup, topic.about)
        Console().print(table)

    topics.command()(grow)

    @topics.command()
    def rights(
        kind: Annotated[str, typer.Argument(help=f"{', '.join(KINDS)}; all where none is given")] = "",
        principal: Annotated[str, typer.Option(help="who gets them; User:KIND where none is given")] = "",
        create: Annotated[bool, typer.Option("--create", help="create the rules, as an administrator")] = False,
    ) -> None:
        """Print the access rules that a kind of process needs, as calls of Kafka's `kafka-acls.sh`; or create them.

        With SEGUE_TOPIC_PREFIX before the names, and KAFKA_BOOTSTRAP_SERVERS, where they are set. docs/security.md says more.
        """
        if kind and kind not in KINDS:
            raise InputError(f"kind {kind!r}: unknown, expected one of {', '.join(KINDS)}")
        if principal and not kind:
            raise InputError("--principal without a kind: expected one user for one kind, not every right for one user")
        if create:
            asyncio.run(_create([kind] if kind else list(KINDS), principal))
            return
        prefix = os.environ.get("SEGUE_TOPIC_PREFIX", "")
        address = os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or "localhost:9092"
        for each in [kind] if kind else KINDS:
            for line in acl_lines(each, principal or f"User:{each}", prefix):
                print(f"kafka-acls.sh --bootstrap-server {address} --command-config admin.properties {line}")


async def _create(kinds: list[str], principal: str) -> None:
    from streams.runtime.acls import grant

    for kind in kinds:
        who = principal or f"User:{kind}"
        print(f"{who}: {await grant(find_settings(), kind, who)} rules of {kind}")
