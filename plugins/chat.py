"""A handler for chat rooms, on any transport and in any dialect."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import count

from hubbub import Handler, Incoming, Sender, on

ROOMS = 1_000  # rooms with members: each has a retained list of them
MEMBERS = 100  # members of one room: each change sends the list to all of them
ROOMS_PER_MEMBER = 10  # rooms that one member is in: a new name is announced in each
NAME = 32  # characters of a name: 100 of them make a list of a few KiB
ROOM = 64  # characters of a room's name
LIST_SECONDS = 0.1  # from a change to the new list: at most 10 lists a second, whatever the rate of changes
SILENCE_SECONDS = 300.0  # of silence until a member on UDP has left: there is no connection to close
SWEEP_SECONDS = 30.0  # between two sweeps for them

TEXT = "text/plain; charset=utf-8"  # of answers: the messages themselves may have another content type


class Rejected(Exception):
    """A command that is rejected; the text says why."""


@dataclass(eq=False)
class Member:
    """A client that is in a room; `last_message` is the monotonic time of its last message, in seconds."""

    name: str
    last_message: float
    rooms: set[str] = field(default_factory=set)


class Chat(Handler):
    """Keep the list of the members of each room, and of their messages on chat/<room>.

    The hub itself delivers the messages on chat/<room> to its subscribers. Beside them there are

        chat/<room>/who      retained: a JSON array of names, in the order of joining; empty once all have left
        chat/<room>/events   JSON: {"event":"joined","name":"Ada"}    {"event":"renamed","name":"Ada","was":"guest-1"}
                             {"event":"left","name":"Ada"}      {"event":"said","name":"Ada","text":"hello"}

    A client joins a room by its first message there. These lines are commands; only the sender gets the answer, a line
    that begins with `* `:

        /nick <name>    take that name, in every room; a name is given once
        /leave          leave this room

    Until then a member has the name of its login or its client identifier, or is a guest with a number. A client that
    disconnects has left; one that vanished is noticed once something is sent to it. Over UDP a client leaves after five
    minutes of silence, and only clients with a validated address are listed, by a subscription or by the listener's
    `peers=`.
    """

    def __init__(self) -> None:
        self._present: set[Sender] = set()  # bounded as the hub's clients are
        self._members: dict[Sender, Member] = {}
        self._names: set[str] = set()  # taken ones, in one case
        self._rooms: dict[str, dict[Member, None]] = {}
        self._changed: set[str] = set()
        self._numbers = count(1)

    def start(self) -> None:
        """Begin to sweep for silent members."""
        self.every(SWEEP_SECONDS, self.sweep)

    def stop(self) -> None:
        """Clear the lists, which are kept by nothing any more."""
        for room in self._rooms:
            self.publish(f"chat/{room}/who", b"", retain=True)

    def peer_joined(self, peer: Sender) -> None:
        """A client has connected."""
        self._present.add(peer)

    def peer_left(self, peer: Sender) -> None:
        """A client has gone, and so has left every room."""
        self._present.discard(peer)
        self._leave_all(peer)

    def sweep(self) -> None:
        """Remove members over UDP that have been silent for too long."""
        since = self.now() - SILENCE_SECONDS
        for peer, member in list(self._members.items()):
            if peer.transport == "udp" and member.last_message <= since:
                self._leave_all(peer)

    @on("chat/+")
    def on_message(self, message: Incoming) -> None:
        """Act on a message; one that isn't text, or whose sender isn't connected, is only relayed."""
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
                member = self._join(peer, room)
                self._announce(room, "said", member, text=text)
                return
        except Rejected as refusal:
            answer = str(refusal)
        message.reply(f"* {answer}", content_type=TEXT)

    # Coming and going

    def _join(self, peer: Sender, room: str) -> Member:
        """Return the member that `peer` is, in that room from now on. Raises Rejected."""
        member = self._members.get(peer)
        if member is None or room not in member.rooms:
            self._check_room(room, member)
        if member is None:
            member = self._members[peer] = Member(self._initial_name(peer), self.now())
        member.last_message = self.now()
        if room not in member.rooms:
            member.rooms.add(room)
            self._rooms.setdefault(room, {})[member] = None
            self._announce(room, "joined", member)
            self._change(room)
        return member

    def _check_room(self, room: str, member: Member | None) -> None:
        if len(room) > ROOM:
            raise Rejected(f"a room's name has up to {ROOM} characters")
        if member is not None and len(member.rooms) >= ROOMS_PER_MEMBER:
            raise Rejected(f"you are in {ROOMS_PER_MEMBER} rooms already; /leave one")
        if room not in self._rooms and len(self._rooms) >= ROOMS:
            raise Rejected(f"there are {ROOMS} rooms already")
        if len(self._rooms.get(room, ())) >= MEMBERS:
            raise Rejected(f"{room} is full: {MEMBERS} people are there")

    def _leave(self, peer: Sender, room: str) -> str:
        """Remove a member from a room, and return the answer. Raises Rejected."""
        member = self._members.get(peer)
        if member is None or room not in member.rooms:
            raise Rejected(f"you aren't in {room}")
        member.rooms.discard(room)
        if not member.rooms:
            del self._members[peer]
            self._names.discard(member.name.casefold())
        del self._rooms[room][member]
        if not self._rooms[room]:
            del self._rooms[room]
        self._announce(room, "left", member)
        self._change(room)
        return f"you have left {room}"

    def _leave_all(self, peer: Sender) -> None:
        member = self._members.get(peer)
        for room in sorted(member.rooms) if member is not None else ():
            self._leave(peer, room)

    # Names

    def _rename(self, member: Member, name: str) -> str:
        """Give a member another name, and return the answer. Raises Rejected."""
        if not _is_name(name):
            raise Rejected(f"a name has up to {NAME} characters that can be seen, as in /nick Ada")
        if name.casefold() != member.name.casefold() and name.casefold() in self._names:
            raise Rejected(f"{name} is taken")
        was, member.name = member.name, name
        self._names.discard(was.casefold())
        self._names.add(name.casefold())
        for room in sorted(member.rooms) if was != name else ():
            self._announce(room, "renamed", member, was=was)
            self._change(room)
        return f"you are {name}"

    def _initial_name(self, peer: Sender) -> str:
        """Choose and take a name for a member that has chosen none."""
        base = peer.user or peer.client
        name = base = base if _is_name(base) else "guest"
        while name == "guest" or name.casefold() in self._names:
            number = f"-{next(self._numbers)}"
            name = base[: NAME - len(number)] + number
        self._names.add(name.casefold())
        return name

    # Announcements

    def _announce(self, room: str, event: str, member: Member, **more: str) -> None:
        self.publish(f"chat/{room}/events", {"event": event, "name": member.name, **more})

    def _change(self, room: str) -> None:
        """Have the list of that room published soon."""
        if room not in self._changed:
            self._changed.add(room)
            self.later(LIST_SECONDS, partial(self._list, room))

    def _list(self, room: str) -> None:
        self._changed.discard(room)
        names = [member.name for member in self._rooms.get(room, ())]
        self.publish(f"chat/{room}/who", names or b"", retain=True)


def _is_name(text: str) -> bool:
    return 0 < len(text) <= NAME and text.isprintable()
