"""Metarank's store, click-throughs and API, as the pipeline's feature store, log and endpoint."""

from cli.convert.draft import Draft
from cli.convert.section import Section


def convert_service(draft: Draft, config: Section) -> None:
    """Convert ``state``, ``train`` and ``api``."""
    _store(draft, config.section("state"))
    _log(draft, config)
    _api(draft, config.section("api"))


def _store(draft: Draft, state: Section) -> None:
    kind = state.text("type", "memory")
    if kind != "redis":
        draft.set("features.store.kind", "lmdb", "state", note="a folder on this machine")
        draft.set("features.store.path", f"{draft.name}/users", "state")
        draft.mapped("state", "features.store", f"{kind} becomes lmdb. Fill it with `rankway features load`")
        for key in state.unread():
            draft.none(f"state.{key}", f"an option of the store {kind}")
        return
    host, port = state.text("host", "localhost"), state.integer("port", 6379)
    draft.set("features.store.kind", "redis", "state.type")
    draft.set("features.store.nodes", [f"{host}:{port}"], "state.host, state.port")
    draft.mapped(
        "state", "features.store", "the same server, but other rows: fill it with `rankway features load`"
    )
    auth, tls = state.section("auth"), state.section("tls")
    if "user" in auth:
        draft.set("features.store.username", auth.text("user"), "state.auth.user")
        draft.mapped("state.auth.user", "features.store.username")
    if "password" in auth:
        auth.get("password")
        draft.set(
            "features.store.password_env",
            "REDIS_PASSWORD",
            "state.auth.password",
            decide="the environment variable with the password. The password itself was not copied",
        )
        draft.decide(
            "state.auth.password", "features.store.password_env", "set the variable in every replica"
        )
    if tls.get("enabled") is True:
        verify = tls.get("verify")  # YAML reads off as false
        draft.set("features.store.tls.check_hostname", verify in (None, "full"), "state.tls.verify")
        if "ca" in tls:
            draft.set("features.store.tls.ca_file", tls.text("ca"), "state.tls.ca")
        is_off = verify in (False, "off")
        draft.mapped("state.tls", "features.store.tls", "the certificate is always checked" if is_off else "")
    timeouts = state.section("timeout")
    for key, field in (("socket", "timeout_ms"), ("connect", "connect_timeout_ms")):
        if key in timeouts:
            milliseconds = timeouts.duration_s(key, 1.0) * 1000
            draft.set(f"features.store.{field}", milliseconds, f"state.timeout.{key}")
            draft.mapped(f"state.timeout.{key}", f"features.store.{field}")
    for part in (auth, tls, timeouts):
        draft.unread(part, part.path)
    for key in state.unread():
        draft.none(
            f"state.{key}",
            "Rankway reads the rows of a batch in one round trip, without cache or format options",
        )


def _log(draft: Draft, config: Section) -> None:
    if "train" not in config:
        return
    kind = config.section("train").text("type", "memory")
    if kind == "discard":
        draft.mapped("train", "", "without a log nothing is kept")
        return
    draft.set("log.path", f"{draft.name}/log", "train", decide="a folder, or a URL that fsspec supports")
    draft.decide(
        "train", "log.path", f"the served log replaces the click-throughs in {kind}. Old ones stay there"
    )


def _api(draft: Draft, api: Section) -> None:
    for key in ("host", "port"):
        if key in api:
            draft.set(f"http.{key}", api.integer(key, 0) if key == "port" else api.text(key), f"api.{key}")
            draft.mapped(f"api.{key}", f"http.{key}", "without authentication" if key == "host" else "")
    draft.unread(api, "api")
