"""The process and its operating system: reactor, signals, service manager, descriptors."""
