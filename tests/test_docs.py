"""The pages in docs/ say what the code says: examples decode, and every name that the code has is on its page."""

import ast
import re
from pathlib import Path

import msgspec
import pytest

import streams.messages
from online_models.features import FEATURES
from online_models.listener import Listener
from online_models.listener_rows import CHOICES, HEAD, PAGE
from online_models.ranker import BLOCK, OBJECTIVES
from online_models.track import CATALOGUE, COUNTERS, COUNTS, META, NEIGHBOURS, VECTORS
from segue.benchmarks.answers import PARTS
from segue.cli.forget import KEPT, until_name
from segue.cli.rows import described
from segue.erasure import SECTIONS
from segue.evaluation.replay import METHODS, Replay
from serving.surfaces import SURFACES
from streams.messages import decode, encode
from streams.runtime.partition import CHUNK_LOST, FAILED, REFUSED
from streams.runtime.settings import Settings
from streams.steps import WATERMARK
from streams.topics import TOPICS, Topic
from streams.unsent import UNSENT

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PUBLIC = ("ListeningEvent", "Track", "Profile", "PlaylistRequest", "Playlist", "DeadLetter", "Experiment")


def page(name: str) -> str:
    return (DOCS / name).read_text()


def examples() -> list[tuple[str, bytes]]:
    """(type, JSON) of every ```json block of docs/topics.md: the type is the last one named on the line above."""
    found = []
    for above, block in re.findall(r"([^\n]+)\n\n```json\n(.*?)```", page("topics.md"), re.DOTALL):
        named = [name for name in re.findall(r"`(\w+)`", above) if name in PUBLIC]
        assert named, f"no message type is named above {block!r}"
        found.append((named[-1], block.encode()))
    return found


def returned_keys(path: str, function: str) -> set[str]:
    """The literal keys of the dictionaries that a function makes."""
    tree = ast.parse((ROOT / path).read_text())
    (found,) = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
    ]
    dicts = [node for node in ast.walk(found) if isinstance(node, ast.Dict)]
    return {key.value for each in dicts for key in each.keys if isinstance(key, ast.Constant)}


@pytest.mark.parametrize(("kind", "block"), examples())
def test_an_example_of_a_message_decodes_and_has_no_unknown_field(kind: str, block: bytes) -> None:
    message = decode(getattr(streams.messages, kind), block)

    assert msgspec.json.decode(block) == msgspec.json.decode(encode(message))


def test_every_public_message_has_an_example() -> None:
    assert set(PUBLIC) == {kind for kind, _ in examples()}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topics_row_says_its_key_clean_up_and_group(topic: Topic) -> None:
    row = f"| [`{topic.name}`](#{topic.name}) | {topic.key} | {topic.cleanup} | {topic.group} |"

    assert row in page("topics.md")
    assert f"\n## {topic.name}\n" in page("topics.md")


def test_every_section_of_the_rows_is_described() -> None:
    sections = (HEAD, PAGE, CHOICES, UNSENT, META, WATERMARK, CATALOGUE, COUNTS, VECTORS, NEIGHBOURS, BLOCK)
    described_sections = set(re.findall(r"^\| `(\w)` ", page("topics.md"), re.MULTILINE))

    assert {section.decode() for section in sections} == described_sections


def test_the_table_of_features_is_the_code() -> None:
    rows = re.findall(
        r"^\| (`.+?) \| (.+?) \| (.+?) \| .*\|$", page("features.md").partition("## Features")[2], re.MULTILINE
    )
    named = [name for names, _, _ in rows for name in re.findall(r"`(\w+)`", names)]

    assert sorted(FEATURES) == sorted(named)
    assert all(group and meaning for _, group, meaning in rows)


def test_the_table_of_objectives_is_the_code() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| .+ \| .+ \| .+ \|$", page("features.md").partition("## Features")[0], re.MULTILINE
    )

    assert sorted(OBJECTIVES) == sorted(rows)


def replay_figures() -> set[str]:
    names = set(Replay([], [], [], {method: [] for method in METHODS}, set()).summary()) | {"source", "seed"}
    baselines = tuple(method.replace("-", "_") + "_" for method in METHODS[1:])
    assert all(f"`{baseline}…`" in page("cli-figures.md") for baseline in baselines)
    return {name for name in names if not name.startswith(baselines)}


FIGURES = {
    "replay": replay_figures(),
    "up": returned_keys("segue/cli/show.py", "summary"),
    "throughput": returned_keys("segue/benchmarks/throughput.py", "measure_throughput"),
    "freshness": returned_keys("segue/benchmarks/freshness.py", "measure_freshness"),
    "restore": {
        *returned_keys("segue/benchmarks/restoring.py", "measure_restore"),
        *returned_keys("segue/benchmarks/restoring.py", "_restart"),
    },
    "answers": {
        *returned_keys("segue/benchmarks/answers.py", "measure_answers"),
        *(f"{name.replace('-', '_')}_us" for name in (*PARTS, *SURFACES)),
    },
    "produce": {"tracks", "events"},
    "forget": {
        *("known", "unread", "removed_profile", "rows_left", "compacted_within_ms"),
        *(f"removed_{name}" for name in SECTIONS.values()),
        *(until_name(topic) for topic in KEPT),
    },
    "grow": {"rows", "listeners", "tracks", "from_partitions", "to_partitions", "seconds"},
    "listener": set(described(Listener("ann"))) | returned_keys("segue/cli/rows.py", "_listener"),
    "track": returned_keys("segue/cli/rows.py", "_tracks") | set(COUNTERS),
}


@pytest.mark.parametrize("command", FIGURES)
def test_every_figure_is_explained(command: str) -> None:
    text = page("cli-figures.md")

    assert {name for name in FIGURES[command] if f"`{name}`" not in text} == set()


def test_every_variable_that_is_read_is_on_the_page_of_operations() -> None:
    read = set()

    class Recording(dict[str, str]):
        def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
            read.add(key)
            return super().get(key, default)

    Settings.from_env(Recording(), embedded="localhost:9092")

    assert {name for name in read | {"SEGUE_HOME"} if f"`{name}`" not in page("operations.md")} == set()


def test_every_exit_code_of_a_worker_is_explained() -> None:
    codes = set(re.findall(r"^\| (\d+) \|", page("operations.md"), re.MULTILINE))

    assert {str(code) for code in (0, 1, 2, FAILED, CHUNK_LOST, REFUSED)} == codes


def test_every_decision_has_five_lines_and_names_a_test_that_is_there() -> None:
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    numbers = [int(path.name[:4]) for path in decisions]

    assert numbers == list(range(1, len(decisions) + 1))
    for path in decisions:
        lines = path.read_text().splitlines()
        heads = [line.split(":")[0].strip("*# -") for line in lines]
        assert heads[1:] == ["Chosen", "Rejected", "Would change our mind", "Held by"], path.name
        assert lines[0].startswith(f"# {path.name[:4]} "), path.name
        for test in re.findall(r"`(tests/[\w/.]+)`", lines[-1]):
            assert (ROOT / test).exists(), f"{path.name}: {test} is not there"
        assert "tests/" in lines[-1] or "online_models/checks" in lines[-1], path.name


def test_the_changelog_says_what_state_and_wire_are() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()

    assert "## [Unreleased]" in text
    assert "### State and wire" in text
    assert {topic.name for topic in TOPICS if f"`{topic.name}`" not in text} == set()
