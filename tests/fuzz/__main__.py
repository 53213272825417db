"""The big run: `make fuzz MESSAGES=1000000`. Rounds with a fresh world and a seed of their own; a finding prints how to repeat its round."""

import argparse
import logging
import os
import sys
import time
import traceback
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from random import Random

from tests.fuzz.gauntlet import Gauntlet, shower
from tests.fuzz.hostile import TOPICS

ROUND = 10_000  # messages
Counts = Counter[tuple[str, str]]
FATES = ("taken", "learnt", "repeated", "answered", "refused", "dead-lettered")


def run_round(seed: int, messages: int) -> tuple[int, Counts, str]:
    """One round: its seed, what became of its messages, and the finding where there is one."""
    gauntlet = Gauntlet()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # numpy's: a number that is none
            shower(Random(seed), gauntlet, messages)
    except Exception:  # policy: whatever it is, it is a finding; the other rounds go on  # noqa: BLE001
        return seed, gauntlet.counts, traceback.format_exc()[-4000:]
    return seed, gauntlet.counts, ""


def main() -> int:
    """Run the rounds side by side; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    began, counts, sent, found = time.monotonic(), Counts(), 0, 0
    sizes = [min(ROUND, given.messages - start) for start in range(0, given.messages, ROUND)]
    with ProcessPoolExecutor(given.processes, initializer=logging.disable, initargs=(logging.CRITICAL,)) as pool:
        rounds = [pool.submit(run_round, given.seed + number, size) for number, size in enumerate(sizes)]
        for done, each in enumerate(as_completed(rounds), 1):
            seed, counted, finding = each.result()
            counts += counted
            sent = sum(sizes[:done])
            if finding:
                found += 1
                print(
                    f"\n{finding}\nrepeat: python -m tests.fuzz --processes 1 --messages {ROUND} --seed {seed}",
                    flush=True,
                )
            rate = sent / (time.monotonic() - began)
            sys.stderr.write(f"\r{sent:,} of {given.messages:,} messages, {rate:,.0f} a second, {found} findings ")
    sys.stderr.write("\n")
    print(table(counts))
    print(
        f"{counts.total():,} messages with the good ones, every one accounted for; {found} findings, seed {given.seed}"
    )
    return int(found > 0)


def table(counts: Counts) -> str:
    """What became of the messages of each topic."""
    lines = [f"{'':20}" + "".join(f"{fate:>15}" for fate in FATES)]
    lines += [f"{topic:20}" + "".join(f"{counts[topic, fate]:>15,}" for fate in FATES) for topic in TOPICS]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
