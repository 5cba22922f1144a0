"""The event engine: every request, batch and call as an event, compiled."""
