"""The event engine: it simulates every request, batch and call as an event, in compiled code."""
