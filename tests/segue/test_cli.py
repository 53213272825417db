"""The command line without a broker: help, exit codes, one clear line for what is wrong."""

import io
import logging
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import orjson
import pytest

from segue.cli.main import main

LOG = "".join(
    f'{{"event_id":"e{n}","at_ms":{1_700_000_000_000 + n * 200_000},"user_id":"ann","track_id":"t{n % 7}",'
    f'"kind":"{"skip" if n % 3 == 0 else "play"}","played_ms":{9_000 if n % 3 == 0 else 190_000}}}\n'
    for n in range(60)
) + "".join(f'{{"track_id":"t{n}","title":"Song {n}","artist_id":"a1","artist":"Ann"}}\n' for n in range(7))


def segue(*arguments: str, home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, without a Kafka to be found."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "SEGUE_"))}
    return subprocess.run(
        [sys.executable, "-m", "segue.cli.main", *arguments],
        env={**clean, "SEGUE_HOME": str(home), "COLUMNS": "100", **env},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def log(folder: Path) -> Path:
    (folder / "log.jsonl").write_text(LOG)
    return folder / "log.jsonl"


def segue_here(*arguments: str, home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The same in this process: what ends before it begins needs none of its own, which would import all anew."""
    out, err, client = io.StringIO(), io.StringIO(), logging.getLogger("aiokafka")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith(("KAFKA_", "SEGUE_"))]:
            patch.delenv(name)
        for name, value in {"SEGUE_HOME": str(home), "COLUMNS": "100", **env}.items():
            patch.setenv(name, value)
        patch.chdir(home)
        patch.setattr(sys, "argv", ["segue", *arguments])
        patch.setattr(client, "level", client.level)  # main() sets it
        with pytest.raises(SystemExit) as ended:
            main()
    return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), out.getvalue(), err.getvalue())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("produce", "nowhere"), "nowhere: no such file or folder"),
        (("replay", "nowhere"), "nowhere: no such file or folder"),
        (("replay", "log.jsonl", "--from", "cassette"), "--from cassette: unknown, expected one of"),
        (("replay", "log.jsonl", "--from", "movielens"), "log.jsonl"),
        (("replay", "log.jsonl", "--json", "no/such/folder/x.json"), "expected a file in a folder that is there"),
        (("tail", "gossip"), "topic 'gossip': unknown, expected one of listening-events"),
        (("playlist", "x" * 200), "USER has 200 characters"),
        (("playlist", "ann", "--size", "0"), "--size"),
        (("forget", "x" * 200), "USER has 200 characters"),
        (("forget", ""), "USER has 0 characters"),
        (("worker", "dreamer"), "dreamer"),
        (("up", "--events", "nowhere"), "nowhere: no such file or folder"),
        (("sing",), "sing"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    log(tmp_path)
    done = segue_here(*arguments, home=tmp_path)

    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("playlist", "ann"),
        ("listener", "ann"),
        ("forget", "ann"),
        ("export", "tracks"),
        ("topics", "create"),
        ("worker", "learner"),
    ],
)
def test_without_a_kafka_a_command_ends_with_1_and_says_what_to_do(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = segue(*arguments, home=tmp_path)

    assert (done.returncode, done.stderr) == (
        1,
        "segue: no Kafka found: start `segue up` in another terminal, or set KAFKA_BOOTSTRAP_SERVERS\n",
    )


def test_kafka_that_does_not_answer_is_said_in_one_line(tmp_path: Path) -> None:
    done = segue("playlist", "ann", home=tmp_path, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9")

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "no Kafka answers at 127.0.0.1:9" in done.stderr


def test_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    done = segue_here("topics", "create", home=tmp_path, KAFKA_BOOTSTRAP_SERVERS="x:1", SEGUE_PARTITIONS="lots")

    assert done.returncode == 2
    assert "SEGUE_PARTITIONS='lots', expected a whole number" in done.stderr


def test_help_names_every_command_and_the_exit_codes(tmp_path: Path) -> None:
    done = segue_here("--help", home=tmp_path)

    assert done.returncode == 0
    for command in (
        "up",
        "worker",
        "produce",
        "simulate",
        "playlist",
        "listener",
        "forget",
        "export",
        "replay",
        "topics",
        "tail",
        "dead-letters",
    ):
        assert f"  {command} " in done.stdout
    assert "Exit codes: 0 done, 1 failed, 2 wrong usage" in " ".join(done.stdout.split())


def test_topics_are_listed_with_what_they_are_for(tmp_path: Path) -> None:
    done = segue_here("topics", "list", home=tmp_path)

    assert done.returncode == 0
    assert "experiments: layers, arms and what they set" in done.stdout


@pytest.mark.slow
def test_replay_writes_its_table_curves_and_figures_and_repeats_them(tmp_path: Path) -> None:
    path, figures = log(tmp_path), []
    for run, start in (("one", segue), ("two", segue_here)):
        done = start("replay", str(path), "--seed", "3", "--json", f"{run}.json", "--plot", f"{run}.png", home=tmp_path)
        figures.append(orjson.loads((tmp_path / f"{run}.json").read_bytes()))

        assert done.returncode == 0, done.stderr
        assert "co-listening" in done.stdout
        assert (tmp_path / f"{run}.png").read_bytes()[:4] == b"\x89PNG"

    assert figures[0] == figures[1]
    assert tuple(figures[0][name] for name in ("events", "targets", "source", "surface")) == (
        60,
        40,
        "jsonl",
        "next-up",
    )
    assert {"skip_auc", "hit_at_20", "hr_at_10", "state_hash"} <= figures[0].keys()


def test_what_cannot_be_written_is_one_line_and_who_has_read_enough_is_no_error(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "segue.cli.main", "topics", "list"]
    env = {**os.environ, "SEGUE_HOME": str(tmp_path)}
    with open("/dev/full", "w") as full:
        full_disk = subprocess.run(
            argv, stdout=full, stderr=subprocess.PIPE, text=True, env=env, timeout=60, check=False
        )
    reading, writing = os.pipe()
    os.close(reading)
    closed = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, text=True, env=env, timeout=60, check=False)
    os.close(writing)

    assert (full_disk.returncode, full_disk.stderr.count("\n"), "No space left" in full_disk.stderr) == (1, 1, True)
    assert (closed.returncode, closed.stderr) == (0, "")
