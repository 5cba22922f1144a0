"""Rules for disruption budgets, network policies and selectors."""

from collections.abc import Iterator, Sequence
from typing import Any

from cli.k8s.policy.objects import (
    Fault,
    Object,
    Pods,
    all_pods,
    groups,
    labels_of,
    namespace_of,
    of_kind,
    selects,
    title,
)

_OWN = {"app.kubernetes.io/name": "rankway"}
# HAProxy's statistics, Serve's fallback proxies (HTTP, gRPC), the head's store and Ray's client. Each of these ports
# exposes or changes the running service.
_PRIVATE = {8404, 8500, 9500, 6379, 10001}
_HAPROXY_METRICS, _DASHBOARD = 9101, 8265


def budgets_are_whole_numbers(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require whole numbers in budgets.

    Kubernetes cannot find out how many pods a RayCluster wants. With a percentage or ``maxUnavailable``, Kubernetes
    would evict no pod, or all of them.
    """
    for budget in of_kind(objects, "PodDisruptionBudget"):
        available = budget["spec"].get("minAvailable")
        if isinstance(available, bool) or not isinstance(available, int) or available < 1:
            yield Fault(
                f"{title(budget)} spec.minAvailable",
                f"not a whole number of 1 or more, got {available!r} and maxUnavailable "
                f"{budget['spec'].get('maxUnavailable')!r}",
                "set minAvailable to a whole number of 1 or more",
            )


def every_group_has_one_budget(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require exactly one budget for each group.

    Without a budget, a drain can remove all pods of a group. With two budgets, Kubernetes refuses to evict a pod.
    """
    for group in groups(objects):
        namespace = namespace_of(group.service)
        budgets = [
            title(budget)
            for budget in of_kind(objects, "PodDisruptionBudget")
            if namespace_of(budget) == namespace and selects(budget["spec"].get("selector"), group.labels)
        ]
        if len(budgets) != 1:
            problem = (
                "no PodDisruptionBudget selects the group's pods"
                if not budgets
                else f"{' and '.join(budgets)} select the group's pods"
            )
            yield Fault(f"{group.where} labels", problem, "let exactly one budget select these pods")


def selectors_match_pods(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require that every selector matches a pod.

    A selector that matches nothing protects, opens or scrapes nothing, without an error.
    """
    pods = list(all_pods(objects))
    for each, selector in _selectors(objects):
        namespace = namespace_of(each)
        if not any(selects(selector, labels_of(p.template)) for p in pods if p.namespace == namespace):
            yield Fault(
                f"{title(each)} selector",
                f"selects no pod of this build, got {selector}",
                "use labels that the pods have",
            )


def _selectors(objects: Sequence[Object]) -> Iterator[tuple[Object, Object]]:
    for each in objects:
        spec = each.get("spec") or {}
        match each.get("kind"):
            case "NetworkPolicy":
                yield each, spec.get("podSelector") or {}
            case "PodDisruptionBudget" | "PodMonitor":
                yield each, spec.get("selector") or {}
            case "Service" if spec.get("selector"):
                yield each, {"matchLabels": spec["selector"]}


def unknown_callers_are_blocked(objects: Sequence[Object]) -> Iterator[Fault]:
    """Require a network policy that restricts the callers of every pod, because Ray and HAProxy bind every address.

    A policy that opens a port must name the callers and the ports.
    """
    policies = [each for each in of_kind(objects, "NetworkPolicy") if _closes(each)]
    for pods in all_pods(objects):
        own = [
            each
            for each in policies
            if namespace_of(each) == pods.namespace
            and selects(each["spec"].get("podSelector"), labels_of(pods.template))
        ]
        if not own:
            yield Fault(
                f"{pods.where} labels",
                "no NetworkPolicy of type Ingress selects these pods, so all their ports are open",
                "add a policy that selects them",
            )
        for policy in own:
            for rule in policy["spec"].get("ingress") or []:
                yield from _open_ports(pods, policy, rule)


def _closes(policy: Object) -> bool:
    return "Ingress" in (policy["spec"].get("policyTypes") or ["Ingress"])


def _open_ports(pods: Pods, policy: Object, rule: Object) -> Iterator[Fault]:
    where = f"{title(policy)} ingress to {pods.where}"
    callers = rule.get("from") or []
    if not callers:
        yield Fault(where, "the rule names no caller, so anybody may connect", "add the field from")
        return
    if all(_is_own(each) for each in callers):
        return
    ports = [_number(each.get("port"), pods) for each in rule.get("ports") or []]
    if not ports:
        yield Fault(where, "other pods may connect to every port", "add the field ports")
    is_of_ray = labels_of(pods.template).get("app.kubernetes.io/name") == "rankway"
    for port in sorted({port for port in ports if port in _PRIVATE}) if is_of_ray else ():
        problem = f"other pods may connect to port {port}"
        yield Fault(where, problem, "remove the port, because only the cluster itself needs it")
    if _DASHBOARD in ports and is_of_ray and not all(_names_pods(each) for each in callers):
        problem = (
            f"whole namespaces may connect to the dashboard on port {_DASHBOARD}, which runs submitted code"
        )
        yield Fault(where, problem, "allow only the operator's pods, by their labels")
    if _HAPROXY_METRICS in ports and is_of_ray and not all("namespaceSelector" in each for each in callers):
        problem = f"the whole namespace may read HAProxy's metrics on port {_HAPROXY_METRICS}"
        yield Fault(where, problem, "allow only the namespace of Prometheus")


def _is_own(caller: Object) -> bool:
    """Return whether the caller matches only Rankway's own pods in this namespace."""
    if "namespaceSelector" in caller or "ipBlock" in caller:
        return False
    selector = caller.get("podSelector") or {}
    labels = selector.get("matchLabels") or {}
    return all(labels.get(label) == value for label, value in _OWN.items())


def _names_pods(caller: Object) -> bool:
    return bool((caller.get("podSelector") or {}).get("matchLabels"))


def _number(port: Any, pods: Pods) -> int:
    """Return a port's number. A named port is looked up in the pod. The result is 0 if the pod does not declare it."""
    if isinstance(port, int):
        return port
    declared = {
        each.get("name"): each["containerPort"]
        for container in pods.template["spec"]["containers"]
        for each in container.get("ports") or []
    }
    return int(declared.get(port, 0))
