"""README.md says what is there: its commands parse, its examples work, every component has its row, every number is measured."""

import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import msgspec
import numpy as np
import pytest
import typer

from segue.cli.main import app
from segue.evaluation.replay import replay
from segue.importers import SOURCES
from segue.importers.jsonl import JSONL
from serving.candidates import CHANNELS
from serving.candidates.channel import Channel
from serving.filters import FILTERS
from serving.surfaces import SURFACES
from streams.messages import ListeningEvent, PlaylistRequest, Track, decode, encode
from streams.topics import BY_NAME, TOPICS, Topic
from tests.builders import event, request, track
from tests.serving.worlds import KNOWN, ask, names, query_of, world, world_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SEGUE = ("segue", ".venv/bin/segue")
COMPOSE = ["docker", "compose", "run", "--rm", "traffic"]  # its entry point is segue


def blocks(language: str) -> list[str]:
    """Fenced blocks of a language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [block for name, block in fenced if name == language]


def without_heredocs(block: str) -> str:
    return re.sub(r"(<<'(\w+)').*?^\2$", r"\1", block, flags=re.DOTALL | re.MULTILINE)


def words_of(line: str) -> list[list[str]]:
    """The simple commands of a line of shell, each as its words; variables before a command are left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, "#"
    commands: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set("();<>|&"):
            commands.append([])
        elif commands[-1] or not re.match(r"[A-Z_]+=", word):
            commands[-1].append(word)
    return [command for command in commands if command]


def commands() -> list[list[str]]:
    """Every command of the shell blocks, and of the text between backticks where it begins with one of ours."""
    lines = [line for block in blocks("sh") for line in without_heredocs(block).splitlines()]
    text = re.sub(r"^```.*?^```", "", README, flags=re.DOTALL | re.MULTILINE)
    lines += [span for span in re.findall(r"`([^`\n]+)`", text) if re.match(r"(\S*segue|make) ", span)]
    return [words for line in lines for words in words_of(line)]


def segue_arguments() -> list[list[str]]:
    ours = [words[1:] for words in commands() if words[0] in SEGUE]
    return ours + [words[len(COMPOSE) :] for words in commands() if words[: len(COMPOSE)] == COMPOSE]


def linked() -> set[str]:
    """Paths of the project that README links to."""
    return {link.partition("#")[0].rstrip("/") for link in re.findall(r"\]\(([^)\s:]+)\)", README)}


@pytest.mark.parametrize("argv", segue_arguments(), ids=" ".join)
def test_every_segue_command_parses(argv: list[str]) -> None:
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert argv, f"{command.name} wants a command"
        assert argv[0] in command.commands, f"{command.name} has no {argv[0]}"
        command, argv = command.commands[argv[0]], argv[1:]

    command.make_context(command.name, list(argv))  # raises where an argument or an option is not one


def test_the_commands_are_found() -> None:
    tried = {argv[0] for argv in segue_arguments()}

    assert tried >= {"playlist", "listener", "tail", "export", "replay", "up", "worker", "topics", "simulate", "broker"}


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {words[1] for words in commands() if words[0] == "make"}

    assert {"demo", "test", "check"} <= named <= targets


def test_the_log_decodes_and_replays(tmp_path: Path) -> None:
    (log,) = [block for block in blocks("sh") if "<<'END'" in block]
    match = re.search(r"cat > (\S+) <<'END'\n(.*?)^END$", log, re.DOTALL | re.MULTILINE)
    assert match is not None
    path = tmp_path / match[1]
    path.write_text(match[2])

    for line in match[2].splitlines():
        message = decode(Track if '"title"' in line else ListeningEvent, line.encode())
        assert msgspec.json.decode(line) == msgspec.json.decode(encode(message)), "a field is unknown, or a default"
    events, tracks = list(JSONL.events(path)), list(JSONL.tracks(path))
    assert {each.track_id for each in events} <= {each.track_id for each in tracks}
    assert {"play", "skip"} <= {each.kind for each in events}
    assert replay(events, tracks).dead_letters == 0


class FakeKafka:
    """Stands in for a producer and a consumer: keeps what is sent, hands out one playlist."""

    sent: ClassVar[list[tuple[str, bytes, bytes]]] = []

    def __init__(self, *topics: str, **_: object) -> None:
        assert set(topics) <= set(BY_NAME)
        self.left = [SimpleNamespace(value=encode(ask(world())))]

    async def __aenter__(self) -> "FakeKafka":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def send_and_wait(self, topic: str, value: bytes, *, key: bytes) -> None:
        self.sent.append((topic, value, key))

    def __aiter__(self) -> "FakeKafka":
        return self

    async def __anext__(self) -> SimpleNamespace:
        if not self.left:
            raise StopAsyncIteration
        return self.left.pop()


def run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the block that uses a client of aiokafka, against the fake."""
    (source,) = [block for block in blocks("python") if f"{name}(" in block]
    monkeypatch.setattr(f"aiokafka.{name}", FakeKafka)
    monkeypatch.setattr("segue.embedded.running.running_broker", lambda: "here:9092")
    exec(source, {})


def test_what_the_python_example_sends_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeKafka.sent.clear()
    run("AIOKafkaProducer", monkeypatch)
    kinds = {"listening-events": ListeningEvent, "playlist-requests": PlaylistRequest}

    assert [topic for topic, _, _ in FakeKafka.sent] == list(kinds)
    for topic, value, key in FakeKafka.sent:
        message = decode(kinds[topic], value)
        assert msgspec.json.decode(value) == msgspec.json.decode(encode(message))
        assert message.user_id.encode() == key


def test_the_python_example_reads_a_playlist(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("AIOKafkaConsumer", monkeypatch)

    assert capsys.readouterr().out.startswith(f"{KNOWN} ['")


def example_channel() -> Channel:
    (source,) = [block for block in blocks("python") if block.startswith("# serving/candidates/")]
    scope: dict[str, Channel] = {}
    exec(source, scope)
    return scope[Path(source.split()[1]).stem]


@pytest.mark.parametrize("limit", [1, 100])
def test_the_example_of_a_channel_is_one(limit: int) -> None:
    channel = example_channel()
    for cluster, user in ((world(), KNOWN), (world(), "nobody"), (world_of(), "ann")):
        rows, scores = channel(query_of(cluster, request(user)), limit)

        assert len(rows) == len(scores) == len(set(rows.tolist())) <= limit
        assert (rows > 0).all()
        assert np.isfinite(scores).all()


def test_the_example_of_a_channel_says_what_was_liked_last() -> None:
    cluster = world_of(
        *(track(f"t{n}") for n in range(3)), events=[event("ann", "t2", "like"), event("ann", "t1", "like")]
    )

    rows, scores = example_channel()(query_of(cluster, request("ann")), 10)

    assert names(cluster, rows) == ["t1", "t2"]
    assert scores[0] > scores[1]
    assert names(cluster, example_channel()(query_of(cluster, request("ann")), 1)[0]) == ["t1"]


def source_of(component: object) -> str:
    """The file that a function was written in."""
    return str(Path(component.__code__.co_filename).relative_to(ROOT))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [*CHANNELS, *FILTERS])
def test_a_channel_or_filter_has_a_row_that_links_its_file(name: str) -> None:
    component = CHANNELS[name] if name in CHANNELS else FILTERS[name]
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{name}` |")]

    assert f"({source_of(component)})" in row


@pytest.mark.parametrize("name", [*SURFACES, *SOURCES])
def test_a_surface_or_source_has_a_row_that_links_its_file(name: str) -> None:
    folder = "serving/surfaces" if name in SURFACES else "segue/importers"
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{name}` ")]

    assert f"({folder}/{name.replace('-', '_')}.py)" in row


def test_every_model_and_re_ranker_has_a_row() -> None:
    folders = ("online_models", "online_models/bandits", "online_models/index", "serving/reranking")
    files = {str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).glob("*.py")}
    inside = {  # no models: they hold some, their rows, or sets of rows
        *("online_models/listeners.py", "online_models/index/interface.py"),
        *("online_models/initial.py", "online_models/tags.py", "online_models/track_rows.py"),
        "online_models/row_sets.py",
        "online_models/histograms.py",
    }

    assert {file for file in files if not file.endswith("__init__.py")} - inside <= linked()


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_is_in_the_picture_and_linked(topic: Topic) -> None:
    name = topic.name
    (picture,) = [block for block in blocks("") if "LEARNER" in block]

    assert re.search(rf" {name}( |$)", picture, re.MULTILINE)
    assert f"](docs/topics.md#{name})" in README
    assert f"`{name}`" in README


def test_no_number_is_left_to_be_filled_in() -> None:
    assert re.findall(r"@@\w+@@", README) == []
