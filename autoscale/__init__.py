"""The autoscaling lab: policies, and a simulator that runs the same policy objects as the cluster.

This package imports no other package of the repository.
"""
