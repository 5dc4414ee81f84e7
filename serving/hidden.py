"""The secrets of a lab: what each is called here, and where those are found that are not made here.

All of them lie on the control machine; none is in a declaration.
"""

from __future__ import annotations

from collections.abc import Mapping

from serving.cluster import Cluster
from serving.declared import SecretReference
from serving.seen import Seen
from serving.verdict.updates import due

CLUSTER_TOKEN, GATEWAY_KEY = "cluster_token", "gateway_key"
"""Made here: what agents ask of each other and of the gateway, and the lab's own key for clients."""
TLS_CERTIFICATE, TLS_KEY = "tls certificate", "tls key"
"""Those of TLS, if it is declared."""
VOLUME_OWNER = "volume owner"
"""The password of who may install macOS; it is needed while a Mac is due for another one, and never kept on any."""


def references(cluster: Cluster, seen: Mapping[str, Seen] | None = None) -> dict[str, dict[str, str | None]]:
    """Where secrets are found, by their names: `file` or `environment`, `kind`, and the machine it is needed `on`.

    The kinds are those of whoever reads them: `key`, `word`, `line`, `text` and `public`. What only Macs need that are
    due for another macOS, as `seen`, is among them for those.
    """
    keys = {key_secret(key.owner): (key.secret, "key") for key in cluster.gateway.keys}
    theirs = {backend.name: backend.secret for backend in cluster.gateway.external}
    words = {_external(name): (secret, "word") for name, secret in theirs.items() if secret is not None}
    of_gateway = {
        name: {**secret.model_dump(), "kind": kind, "on": cluster.gateway.machine}
        for name, (secret, kind) in {**keys, **words, **_of_tls(cluster)}.items()
    }
    return of_gateway | hub_tokens(cluster) | _of_macos(cluster, seen or {})


def hub_tokens(cluster: Cluster) -> dict[str, dict[str, str | None]]:
    """Where the tokens are found that hubs ask for, as `references` has it; a Mac that serves the weights needs it."""
    first = {replica.weights: replica.machines[0] for replica in reversed(cluster.replicas)}
    return {
        hub_token(each.name): {**each.token.model_dump(), "kind": "word", "on": first.get(each.name)}
        for each in cluster.weights
        if each.token is not None
    }


def hub_token(weights: str) -> str:
    """The name of the secret that the hub of weights asks for."""
    return f"hub token {weights}"


def key_secret(owner: str) -> str:
    """The name of the secret of somebody's key."""
    return f"key {owner}"


def external_secrets(cluster: Cluster) -> dict[str, str]:
    """The names of the secrets of external backends, by the names of these."""
    return {each.name: _external(each.name) for each in cluster.gateway.external if each.secret is not None}


def _external(backend: str) -> str:
    return f"external {backend}"


def _of_tls(cluster: Cluster) -> dict[str, tuple[SecretReference, str]]:
    tls = cluster.gateway.tls
    if tls is None:
        return {}
    pair = {TLS_CERTIFICATE: (tls.certificate, "public"), TLS_KEY: (tls.key, "text")}
    return {name: (SecretReference(file=path), kind) for name, (path, kind) in pair.items()}


def _of_macos(cluster: Cluster, seen: Mapping[str, Seen]) -> dict[str, dict[str, str | None]]:
    update = cluster.macos.update if cluster.macos else None
    waiting = [name for name, looked in seen.items() if due(cluster.machine(name), update, looked)]
    if update is None or update.volume_owner is None or not waiting:
        return {}
    return {VOLUME_OWNER: {**update.volume_owner.password.model_dump(), "kind": "line", "on": waiting[0]}}
