"""MoQ: a tuning in which the bits of the weights fall step by step, more slowly in sensitive layers."""
