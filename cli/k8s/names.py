"""Names that the rendered objects share with the hand-written objects under k8s/."""

PIPELINE_LABEL = "rankway/pipeline"
"""Label of every pod: the pipeline that it serves. Policies, budgets and monitors select by it."""
ROLE_LABEL = "rankway/role"
"""Label of every pod: ``head`` or ``worker``."""
POOL_LABEL = "rankway/pool"
"""Label of a pool's pods and of their Ray nodes. The pool's deployments are placed by it."""
ACCELERATOR_LABEL = "rankway/accelerator"
"""Label of Kubernetes nodes with GPUs: Ray's name for the GPU type. The creator of the nodes must set it."""

SPOT_LABEL = "rankway/spot"
"""Label ``"true"`` of Kubernetes nodes that the provider may take back, and the key of their taint."""

GPU_RESOURCE = "nvidia.com/gpu"
"""The resource by which Kubernetes counts GPUs, and the key of the taint on GPU nodes."""

HEAD, WORKER = "head", "worker"
SERVICE_ACCOUNTS = {HEAD: "rankway-head", WORKER: "rankway-worker"}
PRIORITY_CLASSES = {HEAD: "rankway-head", WORKER: "rankway-worker"}

HOME_CLAIM, HOME_PATH = "rankway-home", "/srv/rankway"
"""The volume with artifacts, catalogues and releases, and its path in pods."""

GCS_REDIS = "redis-gcs:6379"
"""The Redis server for the state of Ray's head. The feature store uses another server, named in the pipeline."""
GCS_SECRET, STORE_SECRET, PASSWORD_KEY = "redis-gcs", "redis", "password"

IMAGES = {False: "rankway", True: "rankway-gpu"}
"""Image names, True for GPUs. Overlays set the registry, and the tag is Ray's version."""

SERVE_PORT, METRICS_PORT, HAPROXY_METRICS_PORT = 8000, 8080, 9101
GCS_PORT, DASHBOARD_PORT = 6379, 8265
