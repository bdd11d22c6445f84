"""Metrics, for Prometheus and on `$SYS`."""
