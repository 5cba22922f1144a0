"""Shard groups: one model over several processes, the ranks of a replica.

In the order of a batch:

1. ``group``: rank 0, the replica's own process. It starts the other ranks, loads models in all of them, sends each
   batch and runs its own part. A lost rank breaks the group.
2. ``processes`` or ``actors`` start the other ranks: plain processes, or Ray actors on the bundles of the replica.
3. ``follower``: what the other ranks run: receive a command, execute it, wait for the next.
4. ``commands``: the commands (run, load, unload, sync), and the spec with which a rank finds its group.
5. ``collectives``: how the ranks join, and send commands and sums over one of two transports. ``transport`` says which
   one a group may use.
   - shared memory: ``rendezvous`` (how ranks map the same memory), ``shared_memory`` (slots, counters, sleep and
     wake-up), ``fence`` (the order of memory); on it ``command_ring`` and ``all_reduce``.
   - gloo: ``command_broadcast``, and torch.distributed's own sums.
6. ``heartbeat``: beside all that, by which rank 0 and the others learn that one has ended or hangs.
"""
