"""A handler that answers in upper case."""

from hubbub import Handler, Incoming, on


class Upper(Handler):
    """Answer whatever arrives on echo/# in upper case."""

    @on("echo/#")
    def upper(self, message: Incoming) -> None:
        """Reply with `str.upper()` of the text; what isn't UTF-8 comes back as it was."""
        if message.text is None:
            message.reply(message.payload)
        else:
            message.reply(message.text.upper())
