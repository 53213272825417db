"""Tests of the command and the wiring."""
