"""The autoscaling lab: policies, and a simulator that runs the very same ones. A leaf: it imports no other package."""
