"""Rules for pods: their images, labels and permissions."""

import re
from collections.abc import Iterator, Sequence

import ray

from cli.k8s.policy.objects import Fault, Object, all_pods, clusters, groups, of_kind, title

_SECRET_NAME = re.compile(r"PASSWORD|TOKEN|SECRET|CREDENTIAL|_KEY$", re.IGNORECASE)
_NO_SECRET = {"RAY_AUTH_MODE"}


def ray_version_is_pinned(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require the pinned Ray version in images and cluster.

    Nodes with different versions cannot form a cluster. The ingress's fast path (``services/ingress/fast_path.py``)
    uses private attributes of one Ray version.
    """
    for service, cluster in clusters(objects):
        version = cluster.get("rayVersion")
        if version != ray.__version__:
            yield Fault(
                f"{title(service)} rayClusterConfig.rayVersion",
                f"not the pinned version of Ray, got {version}",
                f"set it to {ray.__version__}",
            )
    for group in groups(objects):
        image = group.container.get("image", "")
        tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
        if tag != ray.__version__:
            yield Fault(
                f"{group.where} image",
                f"the tag is not the pinned version of Ray, got {image}",
                f"use the tag {ray.__version__}",
            )


def pods_have_rankway_labels(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require Rankway's labels on pods.

    Budgets, network policies and monitors select pods by these labels. KubeRay's labels change with every cluster.
    """
    for group in groups(objects):
        name = group.service["metadata"]["name"]
        wanted = {
            "app.kubernetes.io/name": "rankway",
            "rankway/pipeline": name,
            "rankway/role": "head" if group.is_head else "worker",
        }
        if not group.is_head:
            wanted["rankway/pool"] = group.spec.get("groupName", "")
        for label, value in wanted.items():
            if group.labels.get(label) != value:
                yield Fault(
                    f"{group.where} labels {label}",
                    f"wrong or missing label, got {group.labels.get(label)}",
                    f"set it to {value}",
                )


def pod_security_is_restricted(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require the restricted pod security standard."""
    for pods in all_pods(objects):
        pod = pods.template["spec"]
        pod_security = pod.get("securityContext") or {}
        user = pod_security.get("runAsUser")
        faults = []
        if pod_security.get("runAsNonRoot") is not True or not isinstance(user, int) or user == 0:
            faults.append(
                (
                    "runAsNonRoot, runAsUser",
                    f"{pod_security.get('runAsNonRoot')}, {user}",
                    "true and a number",
                )
            )
        profile = (pod_security.get("seccompProfile") or {}).get("type")
        if profile not in ("RuntimeDefault", "Localhost"):
            faults.append(("seccompProfile.type", f"{profile}", "RuntimeDefault"))
        for container in [*(pod.get("initContainers") or []), *pod["containers"]]:
            security_context = container.get("securityContext") or {}
            if security_context.get("allowPrivilegeEscalation") is not False:
                problem = f"{security_context.get('allowPrivilegeEscalation')}"
                faults.append((f"{container['name']} allowPrivilegeEscalation", problem, "false"))
            if (security_context.get("capabilities") or {}).get("drop") != ["ALL"]:
                faults.append(
                    (
                        f"{container['name']} capabilities.drop",
                        f"{security_context.get('capabilities')}",
                        "[ALL]",
                    )
                )
            if security_context.get("privileged") or security_context.get("runAsUser") == 0:
                faults.append(
                    (
                        f"{container['name']} privileged, runAsUser",
                        "privileged or root",
                        "false and a number above 0",
                    )
                )
        for field, problem, remedy in faults:
            where = f"{pods.where} securityContext {field}"
            yield Fault(where, f"not restricted enough, got {problem}", f"set it to {remedy}")


def only_head_has_api_token(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require that only the head has a Kubernetes token, for its autoscaler."""
    for group in groups(objects):
        account, token = group.pod.get("serviceAccountName"), group.pod.get("automountServiceAccountToken")
        if account in (None, "default") or (token is not False and not group.is_head):
            yield Fault(
                f"{group.where} serviceAccountName, automountServiceAccountToken",
                f"the account is the default one, or a worker has a token that it does not need, got {account}, "
                f"{token}",
                "name an account other than default, and mount no token on a worker",
            )


def priority_classes_and_accounts_exist(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require that a pod's priority class and service account exist. Otherwise the pod is never created."""
    named = {kind: {each["metadata"]["name"] for each in of_kind(objects, kind)} for kind in _NAMED_BY}
    for group in groups(objects):
        for kind, field in _NAMED_BY.items():
            name = group.pod.get(field)
            if name not in named[kind]:
                yield Fault(
                    f"{group.where} {field}",
                    f"the build has no {kind} {name}",
                    "add it, or name an existing one",
                )


_NAMED_BY = {"PriorityClass": "priorityClassName", "ServiceAccount": "serviceAccountName"}


def no_secret_values_in_build(objects: Sequence[Object]) -> Iterator[Fault]:
    """Refuse secret values in the build, because a value in git stays in the history."""
    for secret in of_kind(objects, "Secret"):
        keys = sorted({*(secret.get("data") or {}), *(secret.get("stringData") or {})})
        if keys:
            yield Fault(
                f"{title(secret)} {', '.join(keys)}",
                "the secret value is in the build",
                "create the secret in the cluster with kubectl create secret",
            )
    for pods in all_pods(objects):
        for container in pods.template["spec"]["containers"]:
            for each in container.get("env") or []:
                if _SECRET_NAME.search(each["name"]) and each.get("value") and each["name"] not in _NO_SECRET:
                    yield Fault(
                        f"{pods.where} env {each['name']}",
                        "the secret value is in the build",
                        "read it from a secret with valueFrom.secretKeyRef",
                    )


def images_are_pinned(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require a fixed tag or digest for each image. Otherwise the image may change at any time."""
    for pods in all_pods(objects):
        for container in pods.template["spec"]["containers"]:
            image = container.get("image", "")
            tag = image.rpartition("/")[2].partition(":")[2]
            if "@sha256:" not in image and tag in ("", "latest", "nightly"):
                where = f"{pods.where} {container['name']} image"
                yield Fault(where, f"not pinned, got {image!r}", "give a version or a digest")
