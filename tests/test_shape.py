"""The rules of the house, held over every file: who imports whom, how long, how called, what is banned where."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("online_models", "streams", "serving", "segue")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LINES_MAX = 300
EMPTY_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "misc"}
# what only a runtime may touch: the clock, chance that nobody seeded, Kafka
IMPURE_CALLS = {
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.monotonic_ns",
    "time.perf_counter",
    "time.perf_counter_ns",
    "time.sleep",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "uuid.uuid1",
    "uuid.uuid4",
    "os.urandom",
}
IMPURE_MODULES = {"random", "secrets", "faust", "mode", "aiokafka"}
REGISTRIES = re.compile(r"https?://[^\s\"')]*(pypi|pythonhosted|index|mirror|simple/|maven|nexus|artifactory|registry)")
BUILD_FILES = ("pyproject.toml", "constraints.txt", "Makefile", "Dockerfile", "docker-compose.yml", ".ci/run")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def pure(path: Path) -> bool:
    """Whether a module belongs to the core: fed and asked, it never waits."""
    parts = path.relative_to(ROOT).parts
    return parts[0] == "online_models" or (parts[0] in ("streams", "serving") and "runtime" not in parts)


class Call(NamedTuple):
    """A call: `np.random.default_rng`, how many arguments have no name, and those that have, with ** under an empty one."""

    line: int
    called: str
    unnamed: int
    named: list[tuple[str, str]]

    def by_chance(self) -> bool:
        """Whether it draws from numpy without a seed."""
        unseeded = self.called.endswith("default_rng") and not self.unnamed and not self.named
        return unseeded or re.fullmatch(r"(np|numpy)\.random\.(?!default_rng|Generator)\w+", self.called) is not None


class Module(NamedTuple):
    """What the rules ask of a module. imported : top-level packages; attributes : the last two names of each, `time.time`."""

    docstring: str | None
    imported: set[str]
    attributes: set[str]
    calls: list[Call]


@cache
def read(path: Path) -> Module:
    """A module, read once for all rules; its tree is let go, as it would slow down every garbage collection to come."""
    module = Module(ast.get_docstring(tree := ast.parse(path.read_text())), set(), set(), [])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            module.imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            module.imported.add(node.module.split(".")[0])
        elif isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
            module.attributes.add(f"{owner}.{node.attr}")
        elif isinstance(node, ast.Call):
            named = [(each.arg or "", written(each.value)) for each in node.keywords]
            module.calls.append(Call(node.lineno, written(node.func), len(node.args), named))
    return module


def written(node: ast.expr) -> str:
    """The source of an expression; that of names, which most are, without the unparser, which takes longer than all rules."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(owner, name):
            return f"{written(owner)}.{name}"
        case ast.Constant(value) if value is None or isinstance(value, (bool, int, str)):
            return repr(value)
        case _:
            return ast.unparse(node)


def calls(paths: list[Path], chosen: Callable[[Call], bool]) -> list[str]:
    """Where the calls are that a rule is about."""
    return [f"{name_of(path)}:{call.line} {call.called}" for path in paths for call in read(path).calls if chosen(call)]


def test_every_module_of_the_core_is_in_an_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    core = ("the streams core", "the serving core")
    held = {module for each in contracts if each["name"].startswith(core) for module in each["source_modules"]}
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES if pure(path)]
    inside = tuple(f"{module}." for module in (*held, "online_models"))

    assert [
        name for name in modules if name not in held and not name.startswith(inside) and "__init__" not in name
    ] == []


def test_the_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_module_says_what_it_is_for() -> None:
    assert [name_of(path) for path in MODULES if not read(path).docstring] == []


def test_a_module_is_short() -> None:
    lines = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}

    assert {name: count for name, count in lines.items() if count > LINES_MAX} == {}


def test_no_module_has_an_empty_name() -> None:
    named = {name_of(path) for path in [*MODULES, *TESTS] if EMPTY_NAMES & {path.stem, *path.parent.parts}}

    assert named == set()


def test_the_core_knows_no_clock_no_chance_and_no_kafka() -> None:
    core = [path for path in MODULES if pure(path)]
    impure = {
        name_of(path): read(path).imported & IMPURE_MODULES | read(path).attributes & IMPURE_CALLS for path in core
    }

    assert {name: seen for name, seen in impure.items() if seen} == {}
    assert calls(core, Call.by_chance) == []


def test_nothing_is_pickled() -> None:
    picklers = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}

    named = [path for path in [*MODULES, *TESTS] if any(word in path.read_text() for word in picklers)]

    assert Path(__file__) in named
    assert [name_of(path) for path in named if read(path).imported & picklers] == []
    # numpy's own way to read one
    assert calls(named, lambda call: ("allow_pickle", "True") in call.named) == []


def test_nothing_that_is_read_is_run() -> None:
    runners = {"yaml", "code", "codeop", "imp", "runpy", "xmlrpc"}
    run = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}

    assert [name_of(path) for path in MODULES if read(path).imported & runners] == []
    assert calls(MODULES, lambda call: call.called in run) == []
    assert calls(MODULES, lambda call: "shell" in dict(call.named)) == [], "a command is a list of words"


def test_every_client_of_kafka_logs_in_as_the_settings_say() -> None:
    def logs_in(call: Call) -> bool:
        return any(not name and value.endswith(".client()") for name, value in call.named)

    clients = calls(MODULES, lambda call: re.search(r"AIOKafka\w+$", call.called) is not None)

    assert len(clients) > 5
    assert calls(MODULES, lambda call: re.search(r"AIOKafka\w+$", call.called) is not None and not logs_in(call)) == []
    assert (
        calls(MODULES, lambda call: call.called == "faust.App" and "broker_credentials" not in dict(call.named)) == []
    )


def test_no_code_folder_but_the_four_and_the_tests() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in listed.splitlines()}

    assert folders <= {*PACKAGES, "tests"}


def test_every_dependency_is_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    names = {re.match(r"[\w.-]+", requirement)[0] for requirement in wanted}  # type: ignore[index]
    explained = set(re.findall(r"^\| `([\w.-]+)` ", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE))

    assert names == explained


def test_explained_versions_are_the_tested_ones() -> None:
    pinned = {
        name.lower(): version
        for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    }
    rows = re.findall(r"^\| `([\w.-]+)` (\S+) ", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)

    assert [(name, pinned.get(name)) for name, _ in rows] == rows


@pytest.mark.parametrize("name", BUILD_FILES)
def test_a_build_file_names_no_registry(name: str) -> None:
    assert REGISTRIES.findall((ROOT / name).read_text()) == []


PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_path_of_the_project_leads_there(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if not re.match(r"https?:|mailto:", link)]
    broken = [link for link in links if not leads(page, link)]

    assert broken == []


def leads(page: Path, link: str) -> bool:
    """Whether a relative link's file is there, and the heading that it names."""
    path, _, heading = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT) or not target.exists():
        return False
    return not heading or target.suffix != ".md" or heading in headings(target)


def headings(page: Path) -> set[str]:
    """Headings as links name them: lower case, without punctuation, dashes for spaces."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
