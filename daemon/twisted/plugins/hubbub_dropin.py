"""Tell twistd of hubbub. Everybody's `twistd --help` imports this, so it names modules and imports none."""

from twisted.application.reactors import Reactor
from twisted.application.service import ServiceMaker

hubbub = ServiceMaker(
    "hubbub",
    "hubbub.service.tap",
    "One daemon for every real-time client: TCP, UDP and WebSocket in one topic space.",
    "hubbub",
)
hubbub_reactor = Reactor("hubbub", "hubbub.service.process.reactor", "epoll, with a shorter way to plain connections.")
