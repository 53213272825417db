"""Surfaces: what a kind of playlist wants, as data. One a file; `SURFACES` finds them by name."""

from serving.surfaces.daily_mix import DAILY_MIX
from serving.surfaces.discover_weekly import DISCOVER_WEEKLY
from serving.surfaces.next_up import NEXT_UP
from serving.surfaces.radio import RADIO
from serving.surfaces.surface import Surface

SURFACES: dict[str, Surface] = {surface.name: surface for surface in (NEXT_UP, DAILY_MIX, DISCOVER_WEEKLY, RADIO)}
