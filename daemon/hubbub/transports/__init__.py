"""How bytes travel: one protocol class for each transport, each handed its link. Twisted and Autobahn live here."""
