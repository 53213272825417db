"""The `segue` command and the wiring: embedded Kafka, importers, simulated listeners, evaluation.

Nobody imports this package; it may import all others.
"""

import os

for _name in (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
):  # before numpy: our matrices are small, its threads only spin
    os.environ.setdefault(_name, "1")
