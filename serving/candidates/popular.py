"""What is popular: in the listener's country where it is known, and everywhere."""

import numpy as np

from online_models.row_sets import distinct
from online_models.track import Doubles, Rows
from serving.candidates.channel import best
from serving.slate import Query


def country_of(query: Query) -> str | None:
    """Where the listener is: the request's context, else their profile."""
    context, profile = query.request.context, query.listener.profile
    return (context.country if context is not None else None) or (profile.country if profile is not None else None)


def popular(query: Query, limit: int) -> tuple[Rows, Doubles]:
    """Popular tracks; those of the country come first."""
    rows, counts = query.replica.popularity.top(limit, query.at_ms)
    shares = (counts + 1e-9) / (counts.sum() + 1e-9 * max(1, len(counts)))
    country = country_of(query)
    if country is None:
        return rows, shares
    at_home, home_shares = query.replica.popularity.top_of_country(country, limit)
    unique, places = distinct(np.concatenate([rows, at_home]))
    sums = np.bincount(places, np.concatenate([0.5 * shares, home_shares]), len(unique)).astype(np.float64)
    return best(unique, sums, limit)
