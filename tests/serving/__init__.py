"""Tests of the read path: pure, without a broker."""
