"""Sessions, those that outlive their link, their in-flight messages, their store, and their presence."""
