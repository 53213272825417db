"""Tests of what is learnt: every model by the shipped checks, and what is particular to each."""
