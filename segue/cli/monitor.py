"""What a running cluster says of itself, read from its topics: events learnt, dead letters, AUC so far."""

from collections.abc import Sequence

import msgspec

from online_models.ranker import BLOCK, RankerMix
from online_models.track import CATALOGUE, META
from streams.processor import LearnerMeta
from streams.runtime.admin import count_partitions
from streams.runtime.follower import Follower
from streams.runtime.settings import Settings
from streams.topics import BY_NAME, DEAD_LETTERS, LISTENERS_CHANGELOG, RANKER_WEIGHTS, TRACKS_CHANGELOG


class Monitor:
    """Follows the meta rows and ranker weights; cheap, since it decodes nothing else."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.dead_letters = 0
        self.last_reason = ""
        self._metas: dict[int, LearnerMeta] = {}
        self._ranker = RankerMix()
        self._catalogue: set[bytes] = set()
        self._followers: list[Follower] = []

    async def start(self) -> None:
        """Begin to follow; returns once it stands at the end."""
        counts = await count_partitions(self.settings)
        topics = (LISTENERS_CHANGELOG, RANKER_WEIGHTS, DEAD_LETTERS, TRACKS_CHANGELOG)
        partitions = {topic.name: range(counts[BY_NAME[topic.name].group]) for topic in topics}
        self._followers = [Follower(self.settings, partitions, self._apply)]
        for follower in self._followers:
            await follower.start()
            await follower.caught_up()

    async def stop(self) -> None:
        """Stop following."""
        for follower in self._followers:
            await follower.stop()

    @property
    def events_learnt(self) -> int:
        """Events learnt ever, over all partitions."""
        return sum(meta.events for meta in self._metas.values())

    @property
    def duplicates(self) -> int:
        """Repeated events dropped."""
        return sum(meta.duplicates for meta in self._metas.values())

    @property
    def tracks_listed(self) -> int:
        """Tracks of the catalogue that the keepers have written."""
        return len(self._catalogue)

    @property
    def skip_auc(self) -> float:
        """AUC of the skip predictions so far, each made before it was learnt."""
        return self._ranker.auc("skip")

    def _apply(self, topic: str, partition: int, rows: Sequence[tuple[bytes, bytes | None]]) -> None:
        for key, value in rows:
            if topic == DEAD_LETTERS.name:
                self.dead_letters += 1
                self.last_reason = str(msgspec.json.decode(value or b"{}").get("reason", ""))
            elif topic == RANKER_WEIGHTS.name and key[:1] == BLOCK:
                self._ranker.apply_row(partition, key, value)
            elif topic == LISTENERS_CHANGELOG.name and key == META and value is not None:
                self._metas[partition] = msgspec.msgpack.decode(value, type=LearnerMeta)
            elif topic == TRACKS_CHANGELOG.name and key[:1] == CATALOGUE:
                (self._catalogue.discard if value is None else self._catalogue.add)(key)
