"""The project's models as the checks see them. A new model is a file here and a row in MODELS."""

from typing import Any

from online_models.checks.checkable import Checkable
from online_models.checks.models.colistening import COLISTENING
from online_models.checks.models.factorisation_machine import FACTORISATION_MACHINES
from online_models.checks.models.indexes import ADAPTIVE_INDEX, EXACT_INDEX, HNSW_INDEX
from online_models.checks.models.listener import LISTENER, LISTENERS
from online_models.checks.models.policies import POLICIES
from online_models.checks.models.popularity import POPULARITY
from online_models.checks.models.ranker import RANKER, RANKER_MIX
from online_models.checks.models.taste import TASTE
from online_models.checks.models.thompson import THOMPSON
from online_models.checks.models.track_table import TRACK_TABLE
from online_models.checks.models.two_tower import TWO_TOWER

MODELS: tuple[Checkable[Any], ...] = (
    RANKER,
    RANKER_MIX,
    FACTORISATION_MACHINES,
    TWO_TOWER,
    COLISTENING,
    POPULARITY,
    TASTE,
    THOMPSON,
    *POLICIES,
    EXACT_INDEX,
    HNSW_INDEX,
    ADAPTIVE_INDEX,
    LISTENER,
    LISTENERS,
    TRACK_TABLE,
)
