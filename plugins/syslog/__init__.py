"""syslog: what machines and programs log, RFC 5424 and RFC 3164 told apart for each message.

    --udp udp:5514:dialect=syslog                one datagram, one message (RFC 5426 section 3.1)
    --tcp tcp:5514:dialect=syslog:format=json    octet counting, LF or NUL, told for each frame (RFC 6587 section 3.4)
    --tcp tcp:5514:dialect=syslog:gap=100ms      no end marks: <PRI> begins a message, a pause ends the last
    --connect tcp:log:514:dialect=syslog:subscribe=alarm/#    sends what matches to a log server, by RFC 5424

A message goes to syslog/{hostname}/{app}/{severity}, or where `topic=` says; severity and facility are the words of
RFC 5427. A hostname that isn't said is the sender's address. The header's fields are properties (facility severity
hostname app procid msgid timestamp), and so is structured data, as `SD-ID.PARAM-NAME`, with commas between the values
of a repeated one.

RFC 3164 only describes what was seen in the wild, so nothing is refused for its form: without a valid PRI everything
is text of the priority user.notice (13), without a timestamp everything behind the PRI is (sections 4.3.2, 4.3.3).
A TAG ends with `[pid]`, or with a colon and a space; for Cisco's systems the app is the %FACILITY-SEVERITY-MNEMONIC.
docs/compatibility.md lists what widely used senders write. `max-message=` bounds a whole message.
"""

from hubbub_plugins.syslog.dialect import Syslog

__all__ = ["Syslog"]
