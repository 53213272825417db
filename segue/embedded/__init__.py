"""A real Apache Kafka from Python packages alone, for one command, tests and benchmarks. Not for production: one machine, no replication
unless asked, data in a folder.
"""
