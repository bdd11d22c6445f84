"""What twistd looks for: Options and makeService."""

from __future__ import annotations

import sys

from twisted.application.service import IService

from hubbub.errors import ConfigError
from hubbub.service.config.options import Options
from hubbub.service.daemon import HubbubService
from hubbub.service.plugins.discovery import Plugins
from hubbub.service.process import signals
from hubbub.service.process.reactor import install as install_reactor
from hubbub.service.workers.handover import handed_to_this_process
from hubbub.service.workers.supervisor import Supervisor

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> IService:
    """Make the service. A mistake in what was asked for is one line on stderr and exit status 1."""
    settings = options.settings()
    try:
        if options["list-plugins"]:
            sys.stdout.write(Plugins(settings.plugin_dirs).listing())
            raise SystemExit(0)
        if "twisted.internet.reactor" not in sys.modules:  # `--reactor` has named none
            install_reactor()
        from twisted.internet import reactor

        signals.ignore_hang_up()
        handover = handed_to_this_process()
        if handover is not None:
            own = handover.settings
            return HubbubService(reactor, own(settings), lambda: own(options.reread()))
        if settings.workers > 1:
            return Supervisor(reactor, settings, options.reread, options.arguments, options.folder)
        return HubbubService(reactor, settings, options.reread)
    except ConfigError as error:
        raise SystemExit(f"hubbub: {error}") from None
