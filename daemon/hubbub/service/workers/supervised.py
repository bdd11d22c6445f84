"""The commands of a supervisor's control socket: each speaks for all workers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from hubbub import limits
from hubbub.errors import ConfigError
from hubbub.service.control.control_socket import Command, ControlProtocol, Request
from hubbub.service.workers import totals
from hubbub.service.workers.asking import Answer, Relay, ask
from hubbub.service.workers.worker import Worker

_log = Logger(namespace="hubbub.workers")


class Supervised:
    """Asks the workers of a supervisor.

    supervisor  has `reactor`, `workers`, `reload` and `describe`
    """

    def __init__(self, supervisor: Any) -> None:
        self._supervisor = supervisor
        self._reactor = supervisor.reactor

    def commands(self) -> Mapping[str, Command]:
        """Return the commands by name."""
        what = {
            "status": self._status, "cluster": self._cluster, "kick": self._kick, "trace": self._trace,
            "reload": self._reload, "metrics": self._metrics,
        }  # fmt: skip
        return {name: partial(_run, act) for name, act in what.items()}

    @property
    def _ready(self) -> list[Worker]:
        found = [worker for worker in self._supervisor.workers if worker.ready]
        if not found:
            raise ConfigError("no worker serves now; the log says why")
        return found

    async def ask_all(self, request: Mapping[str, Any]) -> list[tuple[Worker, list[Answer]]]:
        """Return all answers of each worker that serves. Raises ConfigError."""

        async def one(worker: Worker) -> tuple[Worker, list[Answer]]:
            found: list[Answer] = []
            asked = ask(self._reactor, worker, request, found.append).done
            asked.addTimeout(limits.CONTROL_SECONDS, self._reactor, lambda result, seconds: _late(worker))
            last = await asked
            return worker, [*found, last]

        return await together([one(worker) for worker in self._ready])

    async def status(self) -> dict[str, Any]:
        """Return the status of all. Raises ConfigError."""
        found = [(worker, answers[0]["status"]) for worker, answers in await self.ask_all({"command": "status"})]
        rows = {worker.number: totals.row(worker.number, status) for worker, status in found}
        workers = [one.describe() | rows.get(one.number, {}) for one in self._supervisor.workers]
        made = totals.total([(worker.number, status) for worker, status in found])
        return {**made, **self._supervisor.describe(), "workers": workers}

    async def _status(self, request: Request, caller: ControlProtocol) -> None:
        caller.answer(status=await self.status())
        if request.get("links"):
            relay = Relay(self._reactor, caller)
            for worker in self._ready:
                await relay.pass_on(worker, request, partial(_numbered, worker))
            relay.end()
        caller.finish()

    async def _cluster(self, request: Request, caller: ControlProtocol) -> None:
        answer = await ask(self._reactor, self._ready[0], request).done
        caller.finish(**{name: value for name, value in answer.items() if name != "done"})

    async def _kick(self, request: Request, caller: ControlProtocol) -> None:
        link = request.get("link")
        if isinstance(link, int):
            number, within = divmod(link, totals.LINKS)
            kicked = 0
            for worker in self._ready:
                if worker.number == number:
                    kicked = (await ask(self._reactor, worker, {**request, "link": within}).done)["kicked"]
        else:
            kicked = sum(answers[-1]["kicked"] for _, answers in await self.ask_all(request))
        caller.finish(kicked=kicked)

    async def _trace(self, request: Request, caller: ControlProtocol) -> None:
        relay = Relay(self._reactor, caller)
        traces = [relay.pass_on(worker, request, partial(_numbered, worker)) for worker in self._ready]
        await together(traces)
        relay.end()
        caller.finish()

    async def _reload(self, request: Request, caller: ControlProtocol) -> None:
        caller.setTimeout(None)
        caller.finish(changed=await self._supervisor.reload())

    async def _metrics(self, request: Request, caller: ControlProtocol) -> None:
        caller.finish(text=await self.metrics())

    async def metrics(self) -> str:
        """Return the metrics of all, each with its worker. Raises ConfigError."""
        found = await self.ask_all({"command": "metrics"})
        return totals.metrics((worker.number, answers[-1]["text"]) for worker, answers in found)


async def together(those: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run these at once, and return their results. Raises what the first of those raises that fail."""
    ended = await DeferredList([Deferred.fromCoroutine(one) for one in those], consumeErrors=True)
    for success, result in ended:
        if not success:
            result.raiseException()
    return [result for _, result in ended]


def _run(
    act: Callable[[Request, ControlProtocol], Coroutine[Any, Any, None]], request: Request, caller: ControlProtocol
) -> None:
    Deferred.fromCoroutine(act(request, caller)).addErrback(lambda failure: _refuse(failure, caller))


def _refuse(failure: Failure, caller: ControlProtocol) -> None:
    if failure.check(CancelledError):
        return  # the caller has gone
    if not failure.check(ConfigError):
        _log.failure("a command failed", failure)
    caller.refuse(failure.getErrorMessage())


def _late(worker: Worker) -> Answer:
    raise ConfigError(f"{worker.name} doesn't answer")


def _numbered(worker: Worker, answer: Answer) -> Answer | None:
    """Return an answer with the number that its link has outside; None for a status."""
    if "status" in answer:
        return None
    return answer | {"link": totals.outside(worker.number, answer["link"])} if "link" in answer else answer
