"""Ring 3: what makes a daemon of the rings below: options, files, listeners, plugins, signals."""
