"""Everything that waits: the Kafka plumbing under the pure write path. Clock, network and process exits exist here only."""
