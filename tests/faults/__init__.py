"""Faults on real processes and an embedded Apache Kafka, with a ledger outside the system: `make faults`, and small in tests/integration/test_faults.py."""
