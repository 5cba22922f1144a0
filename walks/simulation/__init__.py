"""The simulated people: their interests, tastes and behaviour."""
