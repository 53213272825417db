"""What a surface is made of."""

import msgspec

from online_models.objectives import OBJECTIVE

SETTING_MAX = 1000.0  # what an experiment may set is brought within: infinite weights rank nothing


class Surface(msgspec.Struct, frozen=True):
    """A kind of playlist.

    channels : candidates asked of each channel
    channel_weights : of a channel's scores in pre-ranking, and in the `next` part of the utility
    unordered_weights : the same where the order of the last plays says nothing (serving/order.py); none where that makes no difference
    weights : of the objectives in the utility, 0 where none is said; `next` is the pre-ranking score
    momentum : how far the list goes on as the last plays did (serving/momentum.py), 0 to 1
    heard_within_ms : what was heard in this time is left out; 0 allows it
    diversity : of maximal marginal relevance, 0 to 1; spacing : places between two tracks of one artist
    familiar : the share of tracks that the listener has heard before, None where it does not matter
    explore_every : one place in so many is the bandit's; 0 for none
    """

    name: str
    channels: dict[str, int]
    channel_weights: dict[str, float]
    weights: dict[str, float]
    unordered_weights: dict[str, float] = {}
    momentum: float = 0.0
    heard_within_ms: int = 0
    diversity: float = 0.0
    spacing: int = 0
    familiar: float | None = None
    explore_every: int = 10

    def changed_by(self, settings: dict[str, float | str | bool]) -> "Surface":
        """This surface with an experiment's settings: "weights.skip", "channel_weights.popular", "diversity", …; unknown ones are left out."""
        weights, channel_weights, fields = dict(self.weights), dict(self.channel_weights), {}
        unordered = dict(self.unordered_weights)
        for name, value in settings.items():
            kind, _, key = name.partition(".")
            if isinstance(value, str):
                continue
            value = min(SETTING_MAX, max(-SETTING_MAX, float(value)))
            if kind == "weights" and (key == "next" or key in OBJECTIVE):
                weights[key] = value
            elif kind == "channel_weights" and key in channel_weights:
                channel_weights[key] = value
                if unordered:
                    unordered[key] = value
            elif name in ("diversity", "familiar", "momentum"):
                fields[name] = min(1.0, max(0.0, value))
            elif name in ("spacing", "explore_every"):
                fields[name] = max(0, int(value))
        changed = {"weights": weights, "channel_weights": channel_weights, "unordered_weights": unordered}
        return msgspec.structs.replace(self, **changed, **fields)

    def trusting(self, order: float) -> "Surface":
        """This surface with the channel weights for a history whose order is to be trusted so much, 0 to 1."""
        mixed = {
            name: order * weight + (1.0 - order) * self.unordered_weights.get(name, 0.0)
            for name, weight in self.channel_weights.items()
        }
        return msgspec.structs.replace(self, channel_weights=mixed)
