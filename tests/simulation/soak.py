"""Many seeds, on every core:  .venv/bin/python -m tests.simulation.soak --seeds 20000 [--first 0]

Prints how to repeat each seed that fails, and ends with 1 if there is one; it then belongs into `tests/simulation/seeds.py`.
"""

import argparse
import os
import sys
import time
import traceback
from multiprocessing import Pool

from tests.simulation.history import AGAIN, problems

CHUNK = 10  # seeds of one workload


def run_one(seed: int) -> tuple[int, str]:
    """A seed, and what went wrong."""
    try:
        return seed, "\n".join(problems(seed))
    except Exception:  # noqa: BLE001 - policy: a history that raises has failed, the others go on
        return seed, f"{traceback.format_exc()}\n{AGAIN.format(seed=seed)}"


def soak(first: int, seeds: int, processes: int) -> list[int]:
    """Run seeds; answers those that failed."""
    failed, began = list[int](), time.monotonic()
    with Pool(processes) as pool:
        for done, (seed, wrong) in enumerate(pool.imap(run_one, range(first, first + seeds), chunksize=CHUNK), 1):
            if wrong:
                failed.append(seed)
                print(f"\nseed {seed} failed\n{wrong}", flush=True)
            if done % 50 == 0 or done == seeds:
                passed_s = time.monotonic() - began
                line = f"{done:,} of {seeds:,} histories, {len(failed)} failed, {done / passed_s:.1f}/s"
                print(line, end="\r" if sys.stdout.isatty() and done < seeds else "\n", flush=True)
    return failed


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.soak")
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    failed = soak(asked.first, asked.seeds, min(asked.processes, asked.seeds))
    for seed in failed:
        print(f"failed: {seed}; {AGAIN.format(seed=seed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
