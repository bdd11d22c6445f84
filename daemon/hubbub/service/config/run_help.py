"""What `hubbub run --help` says, and what it says of an option that it doesn't know."""

from __future__ import annotations

import re
from collections.abc import Iterable

from hubbub.bounds import table
from hubbub.option import closest

SYNOPSIS = """\
Usage: hubbub run [OPTIONS]
   or: twistd -n hubbub [OPTIONS]"""
_EXAMPLES = """
Opens TCP, UDP and WebSocket over one topic space. Without options: TCP 6999,
UDP 6999 and WebSocket 8999, on 127.0.0.1.

Examples:
  hubbub run
      the defaults; in `nc 127.0.0.1 6999`, HELP lists the commands
  hubbub run --tcp tcp:6999:interface=0.0.0.0:anonymous=yes
      TCP only, for every host on the network, without a login
  hubbub run --tcp tcp:1883 --websocket tcp:8083
      the usual ports of MQTT; each port detects the client's protocol
  hubbub run --tcp tcp:7000:dialect=raw:end=crlf:topic=plant/7 \\
             --websocket tcp:8999
      publishes each line of a PLC on plant/7, and serves browsers
  hubbub run --handler upper --plugin-dir ./my-plugins
  hubbub run --connect tcp:10.0.0.5:7000:end=crlf:topic=plant/7
      connects to a device, and publishes its lines
  hubbub run --config /etc/hubbub/hubbub.toml

A SPEC is a Twisted endpoint and keys of hubbub, separated by colons; a colon
inside a value is written \\: as in interface=\\:\\:1. Endpoints:
  tcp:PORT  tcp6:PORT  ssl:PORT:privateKey=FILE  tls:FOLDER:PORT
  unix:FILE:mode=660  systemd:domain=INET:name=NAME  haproxy:ENDPOINT
  and for UDP  udp:PORT  udp6:PORT  systemd:domain=INET:name=NAME
Destinations of --connect; the default dialect is raw:
  tcp:HOST:PORT  unix:FILE  udp:HOST:PORT  each with bindAddress=ADDRESS
  tls:HOST:PORT:trustRoots=FILE:certificate=FILE:privateKey=FILE
  ws://HOST:PORT/PATH  wss://HOST:PORT/PATH  keys follow a colon; a colon in
  the path is written %3A
  mqtt://HOST:PORT  mqtts://HOST:PORT  nats://HOST:PORT
  nats://HOST,HOST:PORT  several servers of a cluster, tried in turn
Keys:
  interface=ADDRESS                          address; else 127.0.0.1 or ::1
  anonymous=yes  as=USER                     accept clients without a login
  id=NAME  dialect=NAME  auto=NAME,...       name; dialect; more to detect
  greet=300ms                                delay of the INFO of auto=nats
  topic=  prefix=  subscribe=                topics of its messages
  pull=FILTER,...  push=FILTER,...           what --connect gets and sends
  user=  password-file=  client=  qos=       --connect with dialect=mqtt only;
  version=  clean=  keep-alive=              docs/mqtt.md explains them
  retain=yes  content-type=                  properties of its messages
  end=crlf  size=N  length=u16be  gap=20ms   frames of dialect=raw
  max-message=  queue=  full=  stall=  idle= bounds
  hello=READY%0D%0A                          sent first; %XX is any byte
  answer=2s                                  half-duplex device: its time limit
  presence=TOPIC  silent=30s                 1 while connected, else 0
  rate=10/s  over=drop  changed=yes          limits of input; over= may be
                                             latest, pause or close, too
  rcvbuf=  reuse=  peers=CIDR,...  group=    UDP only
  compression=yes                            WebSocket only
  client-ca=FILE                             TLS only: CA of client certificates
  strict-sni=yes                             TLS only: refuse unknown names

"""
_UNKNOWN = re.compile(r"option (--?)(\S+) (?:not recognized|must not have an argument|not a unique prefix)")
_MEANT = {
    "b": "--tcp tcp:6999:interface=ADDRESS",
    "bind": "--tcp tcp:6999:interface=ADDRESS",
    "c": "--config FILE",
    "d": "--config FILE",
    "host": "--tcp tcp:6999:interface=ADDRESS",
    "interface": "--tcp tcp:6999:interface=ADDRESS",
    "listen": "--tcp tcp:PORT",
    "mqtt": "--tcp tcp:1883, which detects MQTT and other protocols",
    "p": "--tcp tcp:PORT",
    "password": "--auth hubbub:FILE",
    "port": "--tcp tcp:PORT",
    "v": "--version",
    "verbose": "`hubbub trace`",
    "ws": "--websocket tcp:PORT",
}
"""Options of other daemons, and the ones of hubbub that correspond."""


def help_text(options: str) -> str:
    """Return the examples, the text of the `options`, and the limits."""
    lines = [f"  {name + '=' + default:27} {help}" for name, default, help in table()]
    return _EXAMPLES + options + "\n".join(["Limits, each with its default:", *lines, ""])


def explained(error: Exception, names: Iterable[str]) -> str:
    """Return the text of an error in the command line, with what was meant; `names` are the options that there are."""
    text = " ".join(str(error).split())
    found = _UNKNOWN.fullmatch(text)
    if found is None:
        return text
    dashes, name = found.groups()
    if "recognized" not in text:
        return f"{text}; `hubbub run --help` lists the options"
    near = closest(name, [one.removesuffix("=") for one in names])
    meant = _MEANT.get(name) or (near and f"--{near}")
    return f"there is no option {dashes}{name}" + (
        f", did you mean {meant}?" if meant else "; `hubbub run --help` lists them"
    )
