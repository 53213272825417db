"""Candidate generation: several channels at once, each with its own idea of what might fit. One a file; `CHANNELS` finds them by name."""

from serving.candidates.channel import Channel
from serving.candidates.companions import companions
from serving.candidates.favourites import favourites
from serving.candidates.followers import followers
from serving.candidates.fresh import fresh
from serving.candidates.long_term import long_term
from serving.candidates.neighbours import neighbours
from serving.candidates.own_followers import own_followers
from serving.candidates.popular import popular
from serving.candidates.same_artist import same_artist
from serving.candidates.seeds import seeds
from serving.candidates.taste import by_taste
from serving.candidates.two_tower import two_tower

CHANNELS: dict[str, Channel] = {
    "own-followers": own_followers,
    "two-tower": two_tower,
    "long-term": long_term,
    "followers": followers,
    "companions": companions,
    "neighbours": neighbours,
    "same-artist": same_artist,
    "favourites": favourites,
    "taste": by_taste,
    "popular": popular,
    "fresh": fresh,
    "seeds": seeds,
}
