"""The runtimes, driven by hand-written fakes of Kafka: no broker, no network."""
