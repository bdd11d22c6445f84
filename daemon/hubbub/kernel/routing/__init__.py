"""Which message goes to which subscription: filters, routes, retained messages, shared groups, requests."""
