"""The simulated people: who they are, what they like, and what they do."""
