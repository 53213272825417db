"""What a history must come to, whatever happened on the way. Each check answers sentences about what is wrong; none is good."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from online_models.initial import initial_vector
from online_models.listener import Listener
from online_models.listener_rows import HEAD, KINDS, PAGE, PAGE_EVENTS, user_of
from online_models.ranker import CURVATURE, OBJECTIVES, decode_block
from online_models.track import COLUMN, COUNTERS, META, NEIGHBOURS, TrackTable
from streams.deltas import apply_delta, decode_delta, keeper_of
from streams.messages import DeadLetter
from streams.processor import LearnerMeta
from streams.steps import WATERMARK
from streams.topics import DEAD_LETTERS, LISTENERS_CHANGELOG, RANKER_WEIGHTS, TRACK_DELTAS, TRACKS_CHANGELOG
from tests.simulation.process import DIMS
from tests.simulation.replicas import unequal_replicas
from tests.simulation.workload import KEEPERS, LEARNERS, Workload
from tests.simulation.world import POISONED, World

EXACT, CLOSE = len(COUNTERS), 1e-9


@dataclass(frozen=True, slots=True)
class Durable:
    """What the log holds in the end, as somebody reads it who comes new.

    listeners : rows by partition; metas : the learners' exact counts
    dead : the dead letters of inputs, sorted, without when they were written; their offsets are the same in every history, since inputs
        are written without faults; poisoned : how many of deltas
    tables : by keeper partition; examples : seen by the ranker, by (partition, objective)
    """

    listeners: list[dict[bytes, bytes]]
    metas: list[LearnerMeta]
    dead: list[str]
    poisoned: int
    tables: list[TrackTable]
    examples: dict[tuple[int, bytes], int]


def durable(world: World) -> Durable:
    """Read everything from the log."""
    listeners, metas, tables = list[dict[bytes, bytes]](), list[LearnerMeta](), list[TrackTable]()
    examples, letters = dict[tuple[int, bytes], int](), list[DeadLetter]()
    for number in range(LEARNERS):
        rows = world.log.latest(LISTENERS_CHANGELOG.name, number)
        rows = {key: value for key, value in rows.items() if key != WATERMARK}
        meta = msgspec.msgpack.decode(rows.pop(META), type=LearnerMeta) if META in rows else LearnerMeta()
        listeners.append(rows)
        metas.append(msgspec.structs.replace(meta, seq=0))
        values = [record.value or b"" for record in world.log.all(DEAD_LETTERS.name, number)]
        letters += [msgspec.json.decode(value, type=DeadLetter) for value in values]
        for key, value in world.log.latest(RANKER_WEIGHTS.name, number).items():
            if not key.endswith(CURVATURE.encode()):
                examples[number, key] = decode_block(value).examples
    for number in range(KEEPERS):
        table = TrackTable(dims=DIMS)
        for key, value in world.log.latest(TRACKS_CHANGELOG.name, number).items():
            if key not in (WATERMARK, META):
                table.apply_row(key, value)
        tables.append(table)
    dead = [_timeless(each) for each in letters if each.topic != TRACK_DELTAS.name]
    return Durable(listeners, metas, sorted(dead), len(letters) - len(dead), tables, examples)


def _timeless(letter: DeadLetter) -> str:
    """What does not depend on the clock of who wrote it."""
    return re.sub(r"is [\d,]+ s ahead", "is ahead", repr(msgspec.structs.replace(letter, at_ms=0)))


def differences(world: World, calm: Durable) -> list[str]:
    """Everything that is wrong with how a history ended."""
    seen = durable(world)
    wrong = [
        *world.wrong,
        *compare(seen, calm),
        *learnt(world, seen, calm),
        *by_hand(seen, world.workload),
        *conserved(world, seen),
    ]
    wrong += unequal_replicas(world.log, world.serving)
    if seen.poisoned != world.times["poisoned"]:
        wrong.append(f"{seen.poisoned} dead letters of deltas, expected {world.times['poisoned']}")
    return wrong


def compare(seen: Durable, calm: Durable) -> list[str]:
    """The exact state is that of the calm history; the coalesced state has learnt no more than there was."""
    wrong = [
        f"{name} of learner {number}: {mine}, expected {theirs}"
        for name in ("listeners", "metas")
        for number, (mine, theirs) in enumerate(zip(getattr(seen, name), getattr(calm, name), strict=True))
        if mine != theirs
    ]
    if seen.dead != calm.dead:
        wrong.append(f"{len(seen.dead)} dead letters, expected {len(calm.dead)}")
    for number, (mine, theirs) in enumerate(zip(seen.tables, calm.tables, strict=True)):
        wrong += [f"keeper {number}, {each}" for each in _table_differences(mine, theirs)]
    return wrong


def learnt(world: World, seen: Durable, calm: Durable) -> list[str]:
    """The rankers have learnt each example once, but for what was learnt between a flush and the end of a process."""
    wrong = list[str]()
    for (number, key), there in calm.examples.items():
        count, lost = seen.examples.get((number, key), 0), int(world.lost[number, OBJECTIVES.index(key[1:].decode())])
        if not there - lost <= count <= there:
            wrong.append(f"ranker {number}, {key!r}: learnt {count} examples of {there}, of which {lost} may be lost")
    return wrong


def _table_differences(mine: TrackTable, theirs: TrackTable) -> list[str]:
    wrong, keys = list[str](), sorted({*mine.keys, *theirs.keys} - {""})
    places = [(mine.index(key), theirs.index(key)) for key in keys]
    all_counts, all_expected = mine.counts[[here for here, _ in places]], theirs.counts[[there for _, there in places]]
    close = np.isclose(all_counts, all_expected, rtol=CLOSE, atol=0.0)
    for place, (key, (here, there)) in enumerate(zip(keys, places, strict=True)):
        counts, expected = all_counts[place], all_expected[place]
        if not np.array_equal(counts[:EXACT], expected[:EXACT]):
            wrong.append(f"{key}: counters {counts[:EXACT].tolist()}, expected {expected[:EXACT].tolist()}")
        if not close[place, EXACT:].all():
            wrong.append(f"{key}: decayed {counts[EXACT:].tolist()}, expected {expected[EXACT:].tolist()}")
        pairs, wanted = _neighbours(mine, here), _neighbours(theirs, there)
        if pairs.keys() != wanted.keys() or any(abs(pairs[k] / wanted[k] - 1.0) > CLOSE for k in wanted):
            wrong.append(f"{key}: followers {pairs}, expected {wanted}")
        if mine.meta.get(here) != theirs.meta.get(there):
            wrong.append(f"{key}: {mine.meta.get(here)}, expected {theirs.meta.get(there)}")
    return wrong


def _neighbours(table: TrackTable, row: int) -> dict[str, float]:
    value = table.encode_row(NEIGHBOURS, row)[1] if row else None
    if value is None:
        return {}
    pairs = zip(table.neighbours[row].tolist(), table.neighbour_weights[row].tolist(), strict=True)
    return {table.keys[other]: weight for other, weight in pairs if other}


def by_hand(seen: Durable, workload: Workload) -> list[str]:
    """The state is what the workload says when one counts by hand."""
    counts, pages, wrong = Counter[tuple[str, str]](), Counter[str](), list[str]()
    for rows in seen.listeners:
        for key in rows:
            user_id = user_of(key)
            if key[:1] == HEAD:
                listener = Listener.restore(user_id, rows.get)
                counts.update({(user_id, kind): n for kind, n in zip(KINDS, listener.counts, strict=True) if n})
                pages[user_id] -= listener.events // PAGE_EVENTS - listener.base // PAGE_EVENTS
            elif key[:1] == PAGE:
                pages[user_id] += 1
            elif user_id in workload.erased:
                wrong.append(f"{user_id} was erased, and {rows[key]!r} of theirs is still there")
    if counts != workload.counts:
        wrong.append(f"listeners counted {counts}, expected {workload.counts}")
    if any(pages.values()):
        wrong.append(f"pages of history that no head counts on: {pages}")
    sums = [sum(getattr(meta, name) for meta in seen.metas) for name in ("events", "duplicates", "dead_letters")]
    if sums != [workload.events, workload.duplicates, workload.refused]:
        wrong.append(f"learnt, repeated, refused {sums}, expected {workload}")
    refused = workload.refused + workload.refused_tracks
    if len(seen.dead) != refused:
        wrong.append(f"{len(seen.dead)} dead letters, expected {refused}")
    blocked = {user: kept for rows in seen.listeners for user, kept in _blocked(rows).items() if kept}
    if blocked != (expected := {user: list(kept) for user, kept in workload.blocked.items() if kept}):
        wrong.append(f"blocked {blocked}, expected {expected}")
    sums_of: dict[tuple[str, str], float] = {(each, kind + "s"): n for (each, kind), n in workload.tracks.items()}
    sums_of |= {(each, "trials"): n for each, n in workload.trials.items()}
    for (track_id, column), count in sums_of.items():
        table = seen.tables[keeper_of("t:" + track_id, KEEPERS)]
        found = float(table.counts[table.index("t:" + track_id), COLUMN[column]])
        if found != count:
            wrong.append(f"{track_id}: {found} {column}, expected {count}")
    return wrong


def _blocked(rows: dict[bytes, bytes]) -> dict[str, list[str]]:
    return {user_of(key): list(Listener.restore(user_of(key), rows.get).blocked) for key in rows if key[:1] == HEAD}


def conserved(world: World, seen: Durable) -> list[str]:
    """The keepers' rows are the sum of the committed deltas, each once; who lives holds what the log holds, and learners read it."""
    wrong = list[str]()
    for number, (table, owner) in enumerate(zip(seen.tables, world.owners("keeper"), strict=True)):
        summed, taken = TrackTable(dims=DIMS), dict[tuple[int, int], bytes | None]()
        for topic, partition, key, value in world.workload.rows:
            if (topic, partition) == (TRACKS_CHANGELOG.name, number) and key is not None and key != META:
                summed.apply_row(key, value)
        for record in world.log.all(TRACK_DELTAS.name, number):
            if record.key == POISONED:
                continue
            delta = decode_delta(record.value)
            place = delta.source, delta.seq
            if place not in taken:
                taken[place] = record.value
                apply_delta(summed, msgspec.structs.replace(delta, pairs_from=b"", pairs_to=b"", pair_weights=b""))
            elif taken[place] != record.value:
                wrong.append(f"learner {delta.source} sent two deltas of number {delta.seq} to keeper {number}")
        living: Any = owner.processor
        for name, other in (("the sum of its deltas", summed), ("the living keeper", living.table)):
            wrong += [f"keeper {number} is not {name}: {each}" for each in _rows_apart(table, other, owned_by=number)]
        for process in world.processes("learner"):
            apart = _rows_apart(table, process.replica.table, owned_by=number)
            wrong += [f"{process.name} does not read keeper {number}: {each}" for each in apart]
    for number, owner in enumerate(world.owners("learner")):
        processor: Any = owner.processor
        if processor.listeners.rows != seen.listeners[number]:
            wrong.append(f"the living learner {number} holds other rows than its changelog")
    return wrong


def _rows_apart(table: TrackTable, other: TrackTable, owned_by: int) -> list[str]:
    """Counts and vectors of the entities that a keeper owns; pairs are compared with the calm history."""
    keys = [key for key in table.keys[1:] if keeper_of(key, KEEPERS) == owned_by]
    here, there = [table.index(key) for key in keys], [other.index(key) for key in keys]
    counts, vectors = other.counts[there], other.vectors[there]
    for place, key in enumerate(keys):
        if not there[place]:
            vectors[place] = initial_vector(key, other.dims)
    same = np.isclose(table.counts[here], counts, rtol=CLOSE, atol=0.0).all(1)
    near = np.isclose(table.vectors[here], vectors, rtol=1e-3, atol=1e-3).all(1)
    return [
        f"{keys[place]}: {table.counts[here[place]].tolist()} and {table.vectors[here[place]].tolist()}, "
        f"{counts[place].tolist()} and {vectors[place].tolist()}"
        for place in np.flatnonzero(~(same & near)).tolist()
    ]
