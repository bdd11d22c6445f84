"""Listeners and connectors: what makes links of the operator's endpoints."""
