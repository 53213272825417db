"""Bandits: which arm deserves the next try. One implementation a file; each says with what probability it chose.

All of them are a `Policy` (`policy`), but for `thompson`, which serving asks about new tracks and `bernoulli_thompson` brings under the interface.
What rewards depend on is learnt by a `RewardModel` (`reward_model`); `linucb` and `contextual_thompson` choose by one. Arms are numbered; this
package does not fetch them, nor know what they are.
"""
