"""A handler for rooms in which people talk, whatever they came by."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import count

from hubbub import Handler, Incoming, Sender, on

ROOMS = 1_000  # rooms with somebody in them: each has a retained list of them
PEOPLE = 100  # people in one room: each who comes or goes has the list sent to all of them
ROOMS_EACH = 10  # rooms that one person is in: a new name is told in each
NAME = 32  # characters of a name: 100 of them make a list of a few KiB
ROOM = 64  # characters of a room's name
WHO_SECONDS = 0.1  # from a change to the list that tells it: however fast people come and go, 10 lists a second
SILENCE_SECONDS = 300.0  # without a word until somebody on UDP has left: there nobody hangs up
LOOK_SECONDS = 30.0  # between looks for them

TEXT = "text/plain; charset=utf-8"  # of answers: what was said may be labelled otherwise


class No(Exception):
    """What can't be done for a person; the text says why."""


@dataclass(eq=False)
class Person:
    """Somebody who is in a room; `heard` is the monotonic time in seconds of the last word."""

    name: str
    heard: float
    rooms: set[str] = field(default_factory=set)


class Chat(Handler):
    """Keep a list of who is in each room, and of who said what, for what is said on chat/<room>.

    The hub itself brings what is said on chat/<room> to those who subscribed to that, as it is. Beside it there are

        chat/<room>/who      retained: a JSON array of names, in the order of their coming; empty once all have left
        chat/<room>/events   JSON: {"event":"joined","name":"Ada"}    {"event":"renamed","name":"Ada","was":"guest-1"}
                             {"event":"left","name":"Ada"}      {"event":"said","name":"Ada","text":"hello"}

    The first thing that somebody says in a room is the way in. These lines do something, and are answered to whoever
    said them alone, by a line that begins with `* `:

        /nick <name>    be called that, in every room; a name is given once
        /leave          leave this room

    Until then people have the name of their login, or of their client, or are guests with a number. Who disconnects has
    left; a subscriber that vanished is noticed once something is sent to it. Over UDP nobody disconnects: there five
    minutes without a word do it, and only those are listed whose address is known to be theirs, by a subscription or by
    the listener's `peers=`.
    """

    def __init__(self) -> None:
        self._present: set[Sender] = set()  # bounded as the hub's clients are
        self._people: dict[Sender, Person] = {}
        self._names: set[str] = set()  # taken ones, in one case
        self._rooms: dict[str, dict[Person, None]] = {}
        self._changed: set[str] = set()
        self._numbers = count(1)

    def start(self) -> None:
        """Begin to look for who has fallen silent."""
        self.every(LOOK_SECONDS, self.look)

    def stop(self) -> None:
        """Leave no list of people behind that nobody keeps."""
        for room in self._rooms:
            self.publish(f"chat/{room}/who", b"", retain=True)

    def peer_joined(self, peer: Sender) -> None:
        """Somebody has connected."""
        self._present.add(peer)

    def peer_left(self, peer: Sender) -> None:
        """Somebody has gone, and so has left every room."""
        self._present.discard(peer)
        self._leave_all(peer)

    def look(self) -> None:
        """Let those leave who said nothing for too long where nobody hangs up."""
        since = self.now() - SILENCE_SECONDS
        for peer, person in list(self._people.items()):
            if peer.transport == "udp" and person.heard <= since:
                self._leave_all(peer)

    @on("chat/+")
    def hear(self, message: Incoming) -> None:
        """Act on what somebody said; what is no text, or comes from nobody who is here, is only relayed."""
        peer, text = message.sender, message.text
        if peer not in self._present or text is None:
            return
        room = message.topic.removeprefix("chat/")
        command, _, rest = text.partition(" ")
        try:
            if command == "/leave":
                answer = self._leave(peer, room)
            elif command == "/nick":
                answer = self._rename(self._join(peer, room), rest.strip())
            else:
                person = self._join(peer, room)
                self._tell(room, "said", person, text=text)
                return
        except No as refusal:
            answer = str(refusal)
        message.reply(f"* {answer}", content_type=TEXT)

    # Coming and going

    def _join(self, peer: Sender, room: str) -> Person:
        """Return who `peer` is, in that room from now on. Raises No."""
        person = self._people.get(peer)
        if person is None or room not in person.rooms:
            self._check_room(room, person)
        if person is None:
            person = self._people[peer] = Person(self._first_name(peer), self.now())
        person.heard = self.now()
        if room not in person.rooms:
            person.rooms.add(room)
            self._rooms.setdefault(room, {})[person] = None
            self._tell(room, "joined", person)
            self._change(room)
        return person

    def _check_room(self, room: str, person: Person | None) -> None:
        if len(room) > ROOM:
            raise No(f"a room's name has up to {ROOM} characters")
        if person is not None and len(person.rooms) >= ROOMS_EACH:
            raise No(f"you are in {ROOMS_EACH} rooms already; /leave one")
        if room not in self._rooms and len(self._rooms) >= ROOMS:
            raise No(f"there are {ROOMS} rooms already")
        if len(self._rooms.get(room, ())) >= PEOPLE:
            raise No(f"{room} is full: {PEOPLE} people are there")

    def _leave(self, peer: Sender, room: str) -> str:
        """Let somebody leave a room, and return the answer. Raises No."""
        person = self._people.get(peer)
        if person is None or room not in person.rooms:
            raise No(f"you aren't in {room}")
        person.rooms.discard(room)
        if not person.rooms:
            del self._people[peer]
            self._names.discard(person.name.casefold())
        del self._rooms[room][person]
        if not self._rooms[room]:
            del self._rooms[room]
        self._tell(room, "left", person)
        self._change(room)
        return f"you have left {room}"

    def _leave_all(self, peer: Sender) -> None:
        person = self._people.get(peer)
        for room in sorted(person.rooms) if person is not None else ():
            self._leave(peer, room)

    # Names

    def _rename(self, person: Person, name: str) -> str:
        """Give somebody another name, and return the answer. Raises No."""
        if not _is_name(name):
            raise No(f"a name has up to {NAME} characters that can be seen, as in /nick Ada")
        if name.casefold() != person.name.casefold() and name.casefold() in self._names:
            raise No(f"{name} is taken")
        was, person.name = person.name, name
        self._names.discard(was.casefold())
        self._names.add(name.casefold())
        for room in sorted(person.rooms) if was != name else ():
            self._tell(room, "renamed", person, was=was)
            self._change(room)
        return f"you are {name}"

    def _first_name(self, peer: Sender) -> str:
        """Choose and take a name for somebody who hasn't said any."""
        base = peer.user or peer.client
        name = base = base if _is_name(base) else "guest"
        while name == "guest" or name.casefold() in self._names:
            number = f"-{next(self._numbers)}"
            name = base[: NAME - len(number)] + number
        self._names.add(name.casefold())
        return name

    # What the rooms are told

    def _tell(self, room: str, event: str, person: Person, **more: str) -> None:
        self.publish(f"chat/{room}/events", {"event": event, "name": person.name, **more})

    def _change(self, room: str) -> None:
        """Have the list of that room published soon."""
        if room not in self._changed:
            self._changed.add(room)
            self.later(WHO_SECONDS, partial(self._list, room))

    def _list(self, room: str) -> None:
        self._changed.discard(room)
        names = [person.name for person in self._rooms.get(room, ())]
        self.publish(f"chat/{room}/who", names or b"", retain=True)


def _is_name(text: str) -> bool:
    return 0 < len(text) <= NAME and text.isprintable()
