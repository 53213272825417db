"""From the rows of P partitions to those of another number: which row goes where, and what is made anew.

Rows are copied as they are, to the partition that Kafka's default partitioner gives their owner. Made anew is what a partition number means
something to: numbers of deltas begin again on both sides, counters and examples are shared out so that their sums stay, and every ranker goes
on from the average of all. No I/O: it is fed the live rows of one old partition after the other, and asked for the rest at the end.
"""

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from online_models import listener_rows, track
from online_models.listener_rows import CHOICES, HEAD, PAGE, user_of
from online_models.ranker import OBJECTIVES, Ranker, RankerMix
from online_models.track import CATALOGUE, COUNTS, META, NEIGHBOURS, VECTORS
from streams.deltas import keeper_of
from streams.partitioning import partition_of
from streams.processor import LearnerMeta
from streams.steps import WATERMARK, Output
from streams.topics import (
    EXPERIMENTS,
    LISTENERS,
    LISTENERS_CHANGELOG,
    RANKER_WEIGHTS,
    TRACKS,
    TRACKS_CHANGELOG,
    Topic,
)
from streams.unsent import UNSENT

COPIED: tuple[Topic, ...] = (LISTENERS_CHANGELOG, TRACKS_CHANGELOG, RANKER_WEIGHTS, LISTENERS, TRACKS, EXPERIMENTS)
HASHES = 1 << 31  # a partition among so many is the hash itself, of which each count takes the remainder
_VERSION = {LISTENERS_CHANGELOG.name: listener_rows.VERSION, TRACKS_CHANGELOG.name: track.VERSION}
_SECTIONS = {
    LISTENERS_CHANGELOG.name: (HEAD, PAGE, CHOICES),
    TRACKS_CHANGELOG.name: (CATALOGUE, COUNTS, VECTORS, NEIGHBOURS),
}


class RowsError(ValueError):
    """Rows that cannot be moved as they are; the text says which, and what to do."""


class Growth:
    """Takes live rows of old partitions (`place`, in the order of COPIED), answers where they go; then what is made anew (`made_anew`).

    before : partitions by group, "listener" and "track"; after : of both
    listeners, tracks : heads and catalogue rows that were placed

    >>> growth = Growth({"listener": 1, "track": 1}, 4)
    >>> list(growth.place(LISTENERS, 0, {b"ann": b"{}"}))
    [Output(topic='listeners', key=b'ann', value=b'{}', partition=2)]
    """

    def __init__(self, before: Mapping[str, int], after: int) -> None:
        self.before, self.after = before, after
        self.listeners = self.tracks = 0
        self._meta = LearnerMeta()
        self._rankers: dict[int, Ranker] = {}
        self._mix = RankerMix()

    def place(self, topic: Topic, partition: int, rows: Mapping[bytes, bytes]) -> Iterator[Output]:
        """The live rows of one old partition, where they go.

        Raises
        ------
        RowsError
            for a row that no release up to this one wrote, one that lies where its owner does not, or counts that were never sent
        """
        if topic.name == RANKER_WEIGHTS.name:
            self._rankers[partition] = ranker = Ranker()
            for key, value in rows.items():
                ranker.restore(key, value)
                self._mix.apply_row(partition, key, value)
            return
        for key, value in rows.items():
            if topic.name not in _SECTIONS:
                yield Output(topic.name, key, value, 0 if topic.group == "single" else partition_of(key, self.after))
            elif key == META:
                self._add_up(topic, value)
            elif key != WATERMARK:
                yield self._moved(topic, partition, key, value)

    def made_anew(self) -> list[Output]:
        """The learners' meta rows and ranker weights of every new partition; keepers have seen no delta yet, and have no meta row."""
        rows = list[Output]()
        for number, ranker in enumerate(self._shared_rankers()):
            meta = {
                name: int(shared(total, self.after, number))
                for name, total in msgspec.structs.asdict(self._meta).items()
            }
            rows.append(Output(LISTENERS_CHANGELOG.name, META, msgspec.msgpack.encode(LearnerMeta(**meta)), number))
            blocks = ranker.changed_rows().items()
            rows.extend(Output(RANKER_WEIGHTS.name, key, value, number) for key, value in blocks)
        return rows

    def watermarks(self, ends: Mapping[tuple[str, int], int]) -> list[Output]:
        """The watermark rows: what was copied of `listeners` and `tracks` is in the rows already, all other inputs are empty.

        ends : the next offset by (topic, partition) of what was copied
        """
        return [
            Output(changelog.name, WATERMARK, msgspec.msgpack.encode({copied.name: end}), number)
            for changelog, copied in ((LISTENERS_CHANGELOG, LISTENERS), (TRACKS_CHANGELOG, TRACKS))
            for number in range(self.after)
            if (end := ends.get((copied.name, number)))
        ]

    def _moved(self, topic: Topic, partition: int, key: bytes, value: bytes) -> Output:
        section, place = key[:1], f"{topic.name}[{partition}], row {key[:64]!r}"
        if topic.name == LISTENERS_CHANGELOG.name and section == UNSENT:
            raise RowsError(
                f"{place}: counts that no keeper has been sent, since its learner was killed: start a learner and end it with SIGTERM, "
                "let a keeper take what it sends, and run this again"
            )
        if section not in _SECTIONS[topic.name] or value[:1] > _VERSION[topic.name]:
            raise RowsError(
                f"{place}, version {value[0] if value else None}: unknown, expected at most {_VERSION[topic.name][0]}, and a section of docs/topics.md: "
                "a newer release wrote it; grow with the release that the workers have"
            )
        hashed = _owner(topic, key, HASHES)
        if (owner := hashed % self.before[topic.group]) != partition:
            raise RowsError(
                f"{place}: its owner's partition is {owner}: whoever produces chooses partitions in another way than Kafka's default "
                "(murmur2 of the key; librdkafka: partitioner=murmur2_random), so that rows and messages would part"
            )
        self.listeners += section == HEAD
        self.tracks += section == CATALOGUE
        return Output(topic.name, key, value, hashed % self.after)

    def _add_up(self, topic: Topic, value: bytes) -> None:
        if topic.name != LISTENERS_CHANGELOG.name:
            return
        theirs, ours = msgspec.msgpack.decode(value, type=LearnerMeta), self._meta
        ours.events += theirs.events
        ours.duplicates += theirs.duplicates
        ours.drifts += theirs.drifts
        ours.dead_letters += theirs.dead_letters

    def _shared_rankers(self) -> list[Ranker]:
        """For every new partition the weights that serving has of the old ones, the mean of their precisions, and its share of the examples."""
        old = [ranker for _, ranker in sorted(self._rankers.items())] or [Ranker()]
        examples = np.stack([ranker.examples for ranker in old])
        total, histograms = examples.sum(0), np.stack([ranker.histograms for ranker in old]).sum(0)
        share = examples / np.maximum(total, 1)
        weights, intercepts = self._mix.weights()
        inverse = np.linalg.inv(np.mean([np.linalg.inv(each.model.optimizer.inverse) for each in old], axis=0))
        made = [Ranker() for _ in range(self.after)]
        for number, ranker in enumerate(made):
            ranker.examples, ranker.histograms = (
                np.asarray(shared(each, self.after, number)) for each in (total, histograms)
            )
            ranker.model.optimizer.n_iterations = max(each.model.optimizer.n_iterations for each in old)
            for objective in range(len(OBJECTIVES)):
                if not total[objective]:
                    continue
                of = share[:, objective]
                ranker.model.w[objective], ranker.model.intercepts[objective] = (
                    weights[:, objective],
                    intercepts[objective],
                )
                ranker.model.optimizer.g2[objective] = of @ np.stack(
                    [each.model.optimizer.g2[objective] for each in old]
                )
            ranker.model.optimizer.inverse[:] = inverse
        return made


def shared(total: "int | NDArray[np.int64]", parts: int, place: int) -> "int | NDArray[np.int64]":
    """One of `parts` whole shares of a total, of each number where they are many: as equal as they can be, the sum is the total.

    >>> [shared(7, 3, place) for place in range(3)]
    [3, 2, 2]
    """
    return total // parts + (total % parts > place)


def _owner(topic: Topic, key: bytes, partitions: int) -> int:
    """The partition of a changelog's row among `partitions`: its listener's, or its entity's keeper."""
    if topic.name == LISTENERS_CHANGELOG.name:
        return partition_of(user_of(key).encode(), partitions)
    return keeper_of(key[1:].decode(), partitions)
