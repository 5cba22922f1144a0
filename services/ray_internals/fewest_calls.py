"""A request router for Serve's handles, which counts the calls in flight exactly."""

from collections import Counter
from typing import Any

from ray.serve._private.request_router.pow_2_router import PowerOfTwoChoicesRequestRouter
from ray.serve.request_router import ReplicaID

IMPORT_PATH = "services.ray_internals.fewest_calls:FewestCallsRouter"


class FewestCallsRouter(PowerOfTwoChoicesRequestRouter):
    """Sends a call to the one of two random replicas with fewer calls of this handle in flight.

    Serve's own router compares queue lengths that the replicas report. With gRPC, which Serve's settings for throughput
    turn on, a report arrives with the answer, but has the length at the call's arrival. So a replica that has answered
    everything still appears to be busy, until it gets the next call or ten seconds pass. All calls go to other replicas
    meanwhile. Two replicas then take turns instead of working at the same time.
    """

    # Under saturation, 1 ingress with 2 rankers answered 1.36 times as many requests as with Serve's router, with half
    # the p99. 2 ingresses with 4 rankers answered 1.14 times as many, with 0.58 of the p99.

    def initialize_state(self, **_kwargs: Any) -> None:
        """Start without calls. Serve calls this once."""
        self._calls: Counter[ReplicaID] = Counter()

    def on_send_request(self, replica_id: ReplicaID) -> None:
        """Count a call that was sent."""
        self._set(replica_id, self._calls[replica_id] + 1)

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """Count a call that was answered, failed or was cancelled."""
        self._set(replica_id, max(0, self._calls[replica_id] - 1))

    def on_new_queue_len_info(self, replica_id: ReplicaID, num_ongoing_requests: int) -> None:
        """Ignore a reported length, unless the replica refused the call because it is full."""
        replica = self.curr_replicas.get(replica_id)
        if replica is not None and num_ongoing_requests >= replica.max_ongoing_requests:
            super().on_new_queue_len_info(replica_id, num_ongoing_requests)

    def decrement_queue_len_cache(self, replica_id: ReplicaID) -> None:
        """Do nothing. ``on_request_completed`` has counted the answer."""

    def _set(self, replica_id: ReplicaID, calls: int) -> None:
        if calls:
            self._calls[replica_id] = calls
        else:
            self._calls.pop(replica_id, None)
        if replica_id in self.curr_replicas:
            super().on_new_queue_len_info(replica_id, calls)
