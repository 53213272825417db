"""Re-ranking: the best tracks are not the best list. Each takes a ranked list and answers an order of it; one a file."""
