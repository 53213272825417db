"""The big trial: `make faults`. A hundred kills and twenty zombies under a million events, against a ledger outside the system."""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from segue.embedded.kafka import EmbeddedKafka
from segue.evaluation.metrics import percentile
from streams.runtime.settings import Settings
from tests.faults.trial import Plan, Row, Trial, run_trial

FAULTS = ("lost", "counted_twice", "miscounted", "hangs")  # figures that are to be 0
SHARES = {"learner": 0.4, "keeper": 0.35, "serving": 0.25}


def shared(total: int) -> dict[str, int]:
    """So many in all, by role.

    >>> shared(100)
    {'learner': 40, 'keeper': 35, 'serving': 25}
    """
    counts = {role: int(total * share) for role, share in SHARES.items()}
    counts["learner"] += total - sum(counts.values())
    return counts


def figures(trial: Trial, seconds: float) -> dict[str, float]:
    """The flat object of --json."""
    rows = trial.rows

    def pauses(*faults: str) -> list[float]:
        return [pause for row in rows for pause in row.pauses_s if row.fault in faults] or [0.0]

    return {
        "events": trial.load.ledger.events,
        "kills": sum(row.times for row in rows if row.fault in ("kill -9", "SIGTERM")),
        "zombies": sum(row.times for row in rows if row.fault == "zombie"),
        "broker_kills": sum(row.times for row in rows if row.fault == "broker kill -9"),
        "lost": sum(row.lost for row in rows),
        "counted_twice": sum(row.twice for row in rows),
        "miscounted": trial.miscounted,
        "requests": len(trial.load.requested),
        "answered_again": trial.answered_again,
        "kill_pause_p95_s": percentile(pauses("kill -9", "SIGTERM"), 95),
        "rebalance_pause_max_s": max(pauses("1 -> 3 -> 1")),
        "longest_pause_s": max(pause for row in rows for pause in row.pauses_s) if rows else 0.0,
        "hangs": int(bool(trial.hang)),
        "seconds": seconds,
    }


def table(rows: list[Row]) -> Table:
    """Fault, times, events sent, lost, counted twice, pauses."""
    shown = Table(title="faults, held to a ledger outside the system")
    for name in ("fault", "worker"):
        shown.add_column(name)
    for name in ("times", "events sent", "lost", "counted twice", "pause p50 s", "p95", "longest"):
        shown.add_column(name, justify="right")
    for row in rows:
        spread = [f"{percentile(row.pauses_s, q):.1f}" for q in (50, 95, 100)]
        worker = "all" if row.fault.startswith("broker") else row.role
        shown.add_row(row.fault, worker, str(row.times), f"{row.events:,}", str(row.lost), str(row.twice), *spread)
    return shown


def main() -> int:
    """Run it; 1 where anything was lost, counted twice, miscounted or hung."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=100, help="kill -9 and SIGTERM, four to one")
    parser.add_argument("--zombies", type=int, default=20)
    parser.add_argument("--broker-kills", type=int, default=3)
    parser.add_argument("--scalings", type=int, default=2, help="rounds of 1 -> 3 -> 1 -> 2 learners")
    parser.add_argument("--per-s", type=float, default=1000.0, help="events a second at most, while there are faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    terms = given.kills // 5
    plan = Plan(
        kills=shared(given.kills - terms),
        terms=shared(terms),
        zombies=shared(given.zombies),
        broker_kills=given.broker_kills,
        scalings=given.scalings,
        events=given.events,
        per_s=given.per_s,
        seed=given.seed,
    )
    began = time.monotonic()
    trial = asyncio.run(_on_its_own(plan))
    found = figures(trial, time.monotonic() - began)
    Console(width=140).print(table(trial.rows))
    for name, value in found.items():
        print(f"{name:24}{value:>14,.1f}" if name.endswith("_s") or name == "seconds" else f"{name:24}{value:>14,}")
    if trial.hang:
        print(f"HANG: {trial.hang}", *trial.crew.notes[-20:], sep="\n")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(any(found[fault] for fault in FAULTS))


async def _on_its_own(plan: Plan) -> Trial:
    async with EmbeddedKafka() as kafka:
        return await run_trial(plan, kafka, Settings(bootstrap=kafka.bootstrap))


if __name__ == "__main__":
    sys.exit(main())
