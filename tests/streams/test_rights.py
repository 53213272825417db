"""The rights are what the processes do: held to the processors' inputs and outputs, and to the page that shows them."""

import re
from pathlib import Path

import pytest

from segue.dead_letters import INPUTS
from streams.keeper import KeeperProcessor
from streams.processor import LearnerProcessor
from streams.rights import KINDS, Kind, Right, acl_lines, rights_of
from streams.steps import Processor
from streams.topics import TOPICS

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def names(kind: Kind) -> tuple[set[str], set[str]]:
    """Topics that are read, and written."""
    return {topic.name for topic in kind.reads}, {topic.name for topic in kind.writes}


@pytest.mark.parametrize(("kind", "processor"), [("learner", LearnerProcessor), ("keeper", KeeperProcessor)])
def test_a_worker_may_read_its_inputs_and_its_rows_and_write_its_rows(kind: str, processor: type[Processor]) -> None:
    reads, writes = names(KINDS[kind])
    followed = {"tracks-changelog"} if kind == "learner" else set()

    assert reads == {*processor.inputs, processor.changelog, *processor.restores, *followed}
    assert {processor.changelog, *processor.restores, "dead-letters"} <= writes


def test_dead_letters_may_go_back_to_every_topic_that_they_are_replayed_to() -> None:
    assert names(KINDS["dead-letters"]) == ({"dead-letters"}, set(INPUTS))


def test_only_who_must_writes_state() -> None:
    state = {"listeners-changelog", "tracks-changelog", "ranker-weights"}
    writers = {name for name, kind in KINDS.items() if names(kind)[1] & state}

    assert writers == {"learner", "keeper"}


def test_everything_has_the_prefix() -> None:
    for kind in KINDS:
        for right in rights_of(kind, "p-"):
            assert right.name.startswith("p-")


def test_a_line_is_what_kafka_acls_takes() -> None:
    read = [line for line in acl_lines("keeper", "User:k", "p-") if "--operation Read --topic" in line]
    assert read == [
        "--add --allow-principal User:k --operation Read --topic p-track-deltas --topic p-tracks --topic p-tracks-changelog"
    ]
    (transactional,) = [line for line in acl_lines("keeper", "User:k", "p-") if "--transactional-id" in line]
    assert transactional.endswith(
        "--operation Write --transactional-id p-segue-keeper- --resource-pattern-type prefixed"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_lines_say_all_rights_of_a_kind_and_no_other(kind: str) -> None:
    said = set()
    for line in acl_lines(kind, "User:x"):
        (operation,) = re.findall(r"--operation (\w+)", line)
        for resource, name in re.findall(r"--(topic|group|transactional-id) (\S+)", line):
            said.add(Right(resource, name, operation, "prefixed" in line))

    assert said == set(rights_of(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_says_the_rights_of_a_kind(kind: str) -> None:
    assert row(kind, KINDS[kind]) in PAGE.read_text().splitlines()


def row(name: str, kind: Kind) -> str:
    """A kind's row of the table on the page."""

    def listed(topics: tuple[object, ...], found: set[str]) -> str:
        return "all" if topics == TOPICS else ", ".join(f"`{each}`" for each in sorted(found)) or "-"

    reads, writes = names(kind)
    group = f"group `{kind.group}`" if kind.group else ""
    ids = f"transactional ids `{kind.transactional}`…" if kind.transactional else ""
    creates = "Create on all topics" if kind.creates else ""
    configs = f"DescribeConfigs on {listed((), {topic.name for topic in kind.configs})}" if kind.configs else ""
    further = ", ".join(each for each in (group, ids, creates, configs) if each) or "-"
    return f"| `{name}` | {kind.about} | {listed(kind.reads, reads)} | {listed(kind.writes, writes)} | {further} |"
