"""The autoscaling lab: policies, and a simulator that runs the same policy objects as the cluster.

It is a leaf: it imports no other package of this repository.
"""
