"""The cluster: several daemons with one topic space, over NATS and JetStream."""
