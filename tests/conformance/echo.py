"""The handler that Autobahn's test suite wants: each message comes back as it was."""

from hubbub import Handler, on


class Echo(Handler):
    """Send back what arrives on the topic echo."""

    @on("echo")
    def echo(self, message):
        message.reply(message.payload)
