"""Vector indexes: the nearest tracks by inner product. One implementation a file, behind the interface in `interface`."""
