"""Bandits for new tracks: which unknown track deserves a place. One implementation a file; each says with what probability it chose."""
