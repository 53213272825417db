"""The live view of `segue up`: figures, and one listener's playlist as it changes."""

import math
import time
from collections import deque
from dataclasses import dataclass, field

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from segue.cli.shown import figure, shown
from segue.evaluation.metrics import percentile
from segue.monitor import Monitor
from segue.simulation.traffic import Figures

_BARS = "▁▂▃▄▅▆▇█"


@dataclass(slots=True)
class Sample:
    """Counts at one moment, for rates."""

    at_s: float
    learnt: int
    playlists: int


@dataclass(slots=True)
class View:
    """Renders the figures; keeps what is needed for rates and the sparkline.

    expected : events that are learnt once all of a log is; 0 where there is no end
    """

    monitor: Monitor
    figures: Figures
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=20))
    skip_rates: deque[float] = field(default_factory=lambda: deque(maxlen=60))
    notes: deque[str] = field(default_factory=lambda: deque(maxlen=3))
    expected: int = 0

    def expect(self, events: int, before: int) -> None:
        """A log of so many events is played now, `before` of them were earlier; what else was learnt is not of it."""
        self.expected = max(0, self.monitor.events_learnt - before) + events

    def sample(self) -> None:
        """Take the counts as they are now."""
        self.samples.append(Sample(time.monotonic(), self.monitor.events_learnt, self.figures.playlists))
        self.skip_rates.append(self.skip_rate())

    def rates(self) -> tuple[float, float]:
        """Events learnt and playlists answered per second, over the last samples."""
        if len(self.samples) < 2:
            return 0.0, 0.0
        first, last = self.samples[0], self.samples[-1]
        seconds = max(last.at_s - first.at_s, 1e-9)
        return (last.learnt - first.learnt) / seconds, (last.playlists - first.playlists) / seconds

    def skip_rate(self, within_s: float = 60.0) -> float:
        """Share of skips among the plays of the last minute; nan without any."""
        since = time.monotonic() - within_s
        recent = [skipped for at_s, skipped in self.figures.outcomes if at_s >= since]
        return sum(recent) / len(recent) if recent else math.nan

    def learnt(self) -> str:
        """Events learnt, and of how many while there are more to come."""
        learnt = self.monitor.events_learnt
        return f"{learnt:,} of {self.expected:,}" if learnt < self.expected else f"{learnt:,}"

    def line(self) -> str:
        """Everything on one line, where there is no terminal."""
        learnt, playlists = self.rates()
        fresh = self.figures.freshness_ms
        return (
            f"learnt {self.learnt()} events ({learnt:,.0f}/s), {self.figures.playlists:,} playlists ({playlists:,.0f}/s), "
            f"freshness p50 {figure(percentile(fresh, 50), '.0f')} ms p99 {figure(percentile(fresh, 99), '.0f')} ms, "
            f"skip rate {figure(self.skip_rate(), '.2f')}, AUC {figure(self.monitor.skip_auc, '.3f')}, dead letters {self.monitor.dead_letters}"
        )

    def __rich__(self) -> RenderableType:
        learnt, playlists = self.rates()
        fresh, latency = self.figures.freshness_ms, self.figures.latency_ms
        table = Table.grid(padding=(0, 2))
        table.add_row("events learnt", self.learnt(), f"{learnt:,.0f}/s")
        table.add_row(
            *("playlists", f"{self.figures.playlists:,}"),
            f"{playlists:,.0f}/s, p50 {figure(percentile(latency, 50), '.1f')} ms",
        )
        p50, p99 = (figure(percentile(fresh, percent), ".0f") for percent in (50, 99))
        table.add_row("event → playlist", f"p50 {p50} ms", f"p99 {p99} ms")
        table.add_row("skip rate", figure(self.skip_rate(), ".2f"), self._sparkline())
        table.add_row("skips predicted", f"AUC {figure(self.monitor.skip_auc, '.3f')}", "each before it was learnt")
        table.add_row(
            "dead letters",
            str(self.monitor.dead_letters),
            f"errors {self.figures.errors}, foreign {self.monitor.foreign}",
        )
        panels = [Panel(table, title="Segue")]
        if self.figures.watched:
            panels.append(self._playlist())
        notes = [shown(note, "yellow") for note in self.notes]
        return Group(Columns(panels), *notes, Text("Ctrl-C ends it", style="dim"))

    def _sparkline(self) -> str:
        rates = [rate for rate in self.skip_rates if not math.isnan(rate)]
        return "".join(_BARS[min(len(_BARS) - 1, int(rate * len(_BARS)))] for rate in rates[-30:])

    def _playlist(self) -> Panel:
        event, playlist = self.figures.watched[-1]
        before = (
            {slot.track_id for slot in self.figures.watched[0][1].tracks[:10]}
            if len(self.figures.watched) > 1
            else set()
        )
        table = Table.grid(padding=(0, 2))
        for slot in playlist.tracks[:10]:
            new = bool(before) and slot.track_id not in before
            table.add_row(
                "✚" if new else " ",
                shown(f"{slot.title} – {slot.artist}", "green" if new else ""),
                shown(slot.reason, "dim"),
            )
        heard = (
            f"after {'skipping' if event.kind == 'skip' else 'playing'} {event.track_id}" if event is not None else ""
        )
        return Panel(table, title=shown(f"{playlist.user_id}'s playlist {heard}"))
