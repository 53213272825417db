"""Scenarios of `segue evaluate`: each is named, seeded, and runs itself and its baselines on the same input. A new one is a file here and a row below."""

from segue.evaluation.scenarios.bandits import BANDITS
from segue.evaluation.scenarios.drift import DRIFT
from segue.evaluation.scenarios.likes import LIKES
from segue.evaluation.scenarios.listening import LISTENING
from segue.evaluation.scenarios.mixing import MIXING
from segue.evaluation.scenarios.recall import RECALL
from segue.evaluation.scenarios.scenario import Scenario
from segue.evaluation.scenarios.skips import SKIPS

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario for scenario in (BANDITS, DRIFT, LIKES, LISTENING, MIXING, RECALL, SKIPS)
}
