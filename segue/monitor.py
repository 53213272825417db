"""What a running cluster says of itself, read from its topics: events learnt, dead letters, AUC so far."""

from collections.abc import Sequence

import msgspec

from online_models.ranker import BLOCK, OBJECTIVES, RankerMix
from online_models.track import META
from segue.dead_letters import letter_of
from streams.processor import LearnerMeta
from streams.runtime.admin import count_partitions
from streams.runtime.follower import Follower
from streams.runtime.settings import Settings
from streams.topics import BY_NAME, DEAD_LETTERS, LISTENERS_CHANGELOG, RANKER_WEIGHTS


class Monitor:
    """Follows the meta rows, ranker weights and dead letters; cheap, since it decodes nothing else.

    dead_letters : all that the topic still holds; foreign : messages there that are none
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.dead_letters = self.foreign = 0
        self._metas: dict[int, LearnerMeta] = {}
        self._ranker = RankerMix()
        self._follower: Follower | None = None

    async def start(self) -> None:
        """Begin to follow; returns once it stands at the end."""
        counts = await count_partitions(self.settings)
        topics = (LISTENERS_CHANGELOG, RANKER_WEIGHTS, DEAD_LETTERS)
        partitions = {topic.name: range(counts[BY_NAME[topic.name].group]) for topic in topics}
        self._follower = Follower(self.settings, partitions, self._apply)
        await self._follower.start()
        await self._follower.caught_up()

    def check(self) -> None:
        """Raise where it cannot go on: its figures stand still then."""
        if self._follower is not None:
            self._follower.check()

    async def stop(self) -> None:
        """Stop following."""
        if self._follower is not None:
            await self._follower.stop()

    @property
    def events_learnt(self) -> int:
        """Events learnt ever, over all partitions."""
        return sum(meta.events for meta in self._metas.values())

    @property
    def duplicates(self) -> int:
        """Repeated events dropped."""
        return sum(meta.duplicates for meta in self._metas.values())

    @property
    def refused(self) -> int:
        """Messages that learners refused, over all partitions."""
        return sum(meta.dead_letters for meta in self._metas.values())

    @property
    def drifts(self) -> int:
        """How often the log loss of an objective rose so far that its learner took care, over all partitions."""
        return sum(meta.drifts for meta in self._metas.values())

    @property
    def skip_auc(self) -> float:
        """AUC of the skip predictions so far, each made before it was learnt."""
        return self._ranker.auc("skip")

    @property
    def calibration_errors(self) -> dict[str, float]:
        """Of each objective, over everything that was predicted of it before it was learnt."""
        return {name: self._ranker.calibration_error(name) for name in OBJECTIVES}

    def _apply(self, topic: str, partition: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        for key, value in rows:
            if topic == DEAD_LETTERS.name:
                is_letter = letter_of(value) is not None
                self.dead_letters += is_letter
                self.foreign += not is_letter
            elif topic == RANKER_WEIGHTS.name and key[:1] == BLOCK:
                self._ranker.apply_row(partition, key, value)
            elif topic == LISTENERS_CHANGELOG.name and key == META and value is not None:
                self._metas[partition] = msgspec.msgpack.decode(value, type=LearnerMeta)
