"""Names that the rendered objects share with the hand-written objects under k8s/."""

PIPELINE_LABEL = "rankway/pipeline"
"""Every pod's label for the pipeline that it serves. Network policies, budgets and monitors select pods by it."""
ROLE_LABEL = "rankway/role"
"""Every pod's label for its role: ``head`` or ``worker``."""
POOL_LABEL = "rankway/pool"
"""The label on a pool's pods and their Ray nodes. This label decides on which nodes the pool's deployments run."""
ACCELERATOR_LABEL = "rankway/accelerator"
"""The key of the label on Kubernetes nodes with GPUs. Its value is Ray's name for the GPU type.

The label must be set when nodes are created.
"""

SPOT_LABEL = "rankway/spot"
"""The label ``"true"`` on Kubernetes nodes that the provider may take back, and their taint's key."""

GPU_RESOURCE = "nvidia.com/gpu"
"""The resource by which Kubernetes counts GPUs, and the taint's key on GPU nodes."""

HEAD, WORKER = "head", "worker"
SERVICE_ACCOUNTS = {HEAD: "rankway-head", WORKER: "rankway-worker"}
PRIORITY_CLASSES = {HEAD: "rankway-head", WORKER: "rankway-worker"}

HOME_CLAIM, HOME_PATH = "rankway-home", "/srv/rankway"
"""The volume with artifacts, catalogues and releases, and its path in pods."""

GCS_REDIS = "redis-gcs:6379"
"""The Redis server for the head's state. The feature store uses another server, named in the pipeline."""
GCS_SECRET, STORE_SECRET, PASSWORD_KEY = "redis-gcs", "redis", "password"

IMAGES = {False: "rankway", True: "rankway-gpu"}
"""Image names, True for GPUs. Overlays set the registry, and the tag is Ray's version."""

SERVE_PORT, METRICS_PORT, HAPROXY_METRICS_PORT = 8000, 8080, 9101
GCS_PORT, DASHBOARD_PORT = 6379, 8265
