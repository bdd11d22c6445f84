"""NMEA 0183 and AIS: see dialect.py for what is published, line.py for what is read, ais.py for ships."""

from hubbub_plugins.nmea.dialect import Nmea

__all__ = ["Nmea"]
