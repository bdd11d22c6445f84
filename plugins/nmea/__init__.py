"""NMEA 0183: see dialect.py for what is published, line.py for what is read."""

from hubbub_plugins.nmea.dialect import Nmea

__all__ = ["Nmea"]
