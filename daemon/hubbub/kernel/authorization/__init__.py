"""What a client may publish and subscribe to, and what ends when that changes."""
