"""Names that the rendered objects and the hand-written ones under k8s/ share."""

PIPELINE_LABEL = "rankway/pipeline"
"""Of every pod: the pipeline it serves. What policies, budgets and monitors select by."""
ROLE_LABEL = "rankway/role"
"""Of every pod: ``head`` or ``worker``."""
POOL_LABEL = "rankway/pool"
"""Of a pool's pods, and of their Ray nodes: what the deployments of that pool are placed by."""
ACCELERATOR_LABEL = "rankway/accelerator"
"""Of the Kubernetes nodes that have GPUs: Ray's name of their type. Whoever makes the nodes sets it."""

SPOT_LABEL = "rankway/spot"
"""Of the Kubernetes nodes that the provider may take back, ``"true"``, and the key of their taint."""

GPU_RESOURCE = "nvidia.com/gpu"
"""What Kubernetes counts GPUs as, and the key of the taint of their nodes."""

HEAD, WORKER = "head", "worker"
SERVICE_ACCOUNTS = {HEAD: "rankway-head", WORKER: "rankway-worker"}
PRIORITY_CLASSES = {HEAD: "rankway-head", WORKER: "rankway-worker"}

HOME_CLAIM, HOME_PATH = "rankway-home", "/srv/rankway"
"""The volume with artifacts, catalogues and releases, and where pods have it."""

GCS_REDIS = "redis-gcs:6379"
"""Where Ray's head keeps its state. Its own server: the feature store's is the one that the pipeline names."""
GCS_SECRET, STORE_SECRET, PASSWORD_KEY = "redis-gcs", "redis", "password"

IMAGES = {False: "rankway", True: "rankway-gpu"}
"""By whether it is for GPUs; overlays say from which registry. The tag is Ray's version."""

SERVE_PORT, METRICS_PORT, HAPROXY_METRICS_PORT = 8000, 8080, 9101
GCS_PORT, DASHBOARD_PORT = 6379, 8265
