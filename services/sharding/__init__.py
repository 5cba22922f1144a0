"""Shard groups: one model is split over several processes, the ranks of a replica.

The modules, in the order in which a batch uses them:

1. ``group``: rank 0, which is the replica's own process. It starts the other ranks, loads models in all of them, sends
   each batch and runs its own part. A lost rank breaks the group.
2. ``processes`` and ``actors`` start the other ranks, as plain processes or as Ray actors on the replica's bundles.
3. ``follower``: the loop in each other rank. It receives a command, executes it and waits for the next.
4. ``commands``: the commands (run, load, unload, sync), and the data with which a rank finds its group.
5. ``collectives``: how the ranks join, and exchange commands and sums. They use one of two transports, and
   ``transport`` decides which one a group may use.
   - shared memory: ``rendezvous`` (how ranks map the same memory), ``shared_memory`` (slots, counters, sleep and
     wake-up) and ``fence`` (memory order). ``command_ring`` and ``all_reduce`` are built on them.
   - gloo: ``command_broadcast``, and torch.distributed's own sums.
6. ``heartbeat``: separate connections on which the ranks notice that another rank has ended or hangs.
"""
