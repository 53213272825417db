"""What must not grow past its bound, wherever a history stands."""

from collections.abc import Iterable, Sequence

from online_models.listener import Listener
from online_models.listener_rows import PAGE_EVENTS
from online_models.listeners import Listeners
from streams.processor import LearnerProcessor
from tests.simulation.process import BOUNDS, EVENTS_MAX, FLUSH_STEPS, OUTSTANDING_MAX, Process
from tests.simulation.serving import Serving


def exceeded(learners: Sequence[Process], serving: Iterable[Serving]) -> list[str]:
    """Every bound that is exceeded."""
    wrong = list[str]()
    for process in learners:
        sizes = {"outstanding deltas": (len(process.replica._outstanding), OUTSTANDING_MAX)}
        for number, owner in process.owners.items():
            assert isinstance(owner.processor, LearnerProcessor)
            sizes |= {f"{number}: {name}": size for name, size in _of_learner(owner.processor).items()}
            sizes[f"{number}: steps without a flush"] = owner.since_flush, FLUSH_STEPS - 1
        wrong += _over(process.name, sizes)
    for number, worker in enumerate(serving):
        sizes = {"queries": (len(worker.replica.queries), worker.replica.queries.maxlen or 0)}
        for partition, listeners in worker.replica.listeners.partitions.items():
            sizes |= {f"{partition}: {name}": size for name, size in _of_listeners(listeners).items()}
        wrong += _over(f"serving {number}", sizes)
    return wrong


def _of_learner(processor: LearnerProcessor) -> dict[str, tuple[int, int]]:
    lesson = processor.lesson
    return {
        "plays to learn": (sum(map(len, lesson._targets)), lesson.tower_batch - 1),
        "examples to learn": (sum(len(events) for *_, events in lesson._unranked), lesson.rank_batch - 1),
        **_of_listeners(processor.listeners),
    }


def _of_listeners(listeners: Listeners) -> dict[str, tuple[int, int]]:
    one = BOUNDS["history_max"] + 8  # one listener is held, however much that is
    sizes = {"events decoded": (listeners._weight, max(EVENTS_MAX, one))}
    for listener in listeners._decoded.values():
        sizes |= {f"{listener.user_id}: {name}": size for name, size in _of_listener(listener).items()}
    pages = [key for key in listeners.rows if key[:1] == b"p"]
    most = (BOUNDS["history_max"] // PAGE_EVENTS + 1) * max(1, len(listeners))
    return sizes | {"pages": (len(pages), most)}


def _of_listener(listener: Listener) -> dict[str, tuple[int, int]]:
    return {
        "history": (len(listener.history), BOUNDS["history_max"]),
        "marks": (len(listener.marks), BOUNDS["marks_max"]),
        "likes": (len(listener.liked), BOUNDS["likes_max"]),
        "blocks": (len(listener.blocked), BOUNDS["likes_max"]),
        "offers": (len(listener.offered), BOUNDS["offers_max"]),
    }


def _over(name: str, sizes: dict[str, tuple[int, int]]) -> list[str]:
    return [f"{name}: {size} {what}, at most {most}" for what, (size, most) in sizes.items() if size > most]
