"""Tests of the write path: pure, without a broker."""
