"""The rules of the house, held over every file: who imports whom, how long, how called, what is banned where."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("online_models", "streams", "serving", "segue")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LINES_MAX = 310
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


def imported(tree: ast.AST) -> set[str]:
    """Top-level packages that a module imports."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name.split(".")[0] for name in names}


def dotted(node: ast.expr) -> str:
    """`time.time` of the expression time.time; the last two names of a longer one."""
    if not isinstance(node, ast.Attribute):
        return ""
    owner = node.value
    return f"{owner.id if isinstance(owner, ast.Name) else getattr(owner, 'attr', '')}.{node.attr}"


def chance(node: ast.Call) -> bool:
    """Whether a call draws from numpy without a seed."""
    called = ast.unparse(node.func)
    unseeded = called.endswith("default_rng") and not node.args and not node.keywords
    return unseeded or re.fullmatch(r"(np|numpy)\.random\.(?!default_rng|Generator)\w+", called) is not None


def test_the_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "expected a docstring at the top"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES_MAX


def test_no_module_has_an_empty_name() -> None:
    named = {name_of(path) for path in [*MODULES, *TESTS] if EMPTY_NAMES & {path.stem, *path.parent.parts}}

    assert named == set()


@pytest.mark.parametrize("path", [path for path in MODULES if pure(path)], ids=name_of)
def test_the_core_knows_no_clock_no_chance_and_no_kafka(path: Path) -> None:
    tree = ast.parse(path.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]

    assert imported(tree) & IMPURE_MODULES == set()
    assert {dotted(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & IMPURE_CALLS == set()
    assert [ast.unparse(node) for node in calls if chance(node)] == []


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=name_of)
def test_nothing_is_pickled(path: Path) -> None:
    tree = ast.parse(path.read_text())

    assert imported(tree) & {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"} == set()
    for node in ast.walk(tree):  # numpy's own way to read one
        assert not (isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) == "True")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_that_is_read_is_run(path: Path) -> None:
    tree = ast.parse(path.read_text())
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}

    assert called & {"eval", "exec", "compile", "__import__", "os.system", "os.popen"} == set()
    assert imported(tree) & {"yaml", "code", "codeop", "imp", "runpy", "xmlrpc"} == set()
    for node in ast.walk(tree):
        assert not (isinstance(node, ast.keyword) and node.arg == "shell"), "a command is a list of words"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_client_of_kafka_logs_in_as_the_settings_say(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and re.search(r"AIOKafka\w+$", ast.unparse(node.func)):
            given = [ast.unparse(each.value) for each in node.keywords if each.arg is None]

            assert any(each.endswith(".client()") for each in given), (
                f"line {node.lineno}: expected **settings.client()"
            )
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "faust.App":
            assert "broker_credentials" in {each.arg for each in node.keywords}, f"line {node.lineno}"


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
