"""Tests over a real broker, and of what is outside of Python."""
