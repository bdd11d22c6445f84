"""HTTP, as far as it goes here: requests of one connection each, pages, and the upgrade to WebSocket."""
