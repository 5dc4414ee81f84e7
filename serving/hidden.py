"""The secrets of a lab: what each is called here, and where those are found that are not made here.

All of them lie on the control machine; none is in a declaration.
"""

from __future__ import annotations

from serving.cluster import Cluster
from serving.declared import SecretReference

CLUSTER_TOKEN, GATEWAY_KEY = "cluster_token", "gateway_key"
"""Made here: what agents ask of each other and of the gateway, and the lab's own key for clients."""
TLS_CERTIFICATE, TLS_KEY = "tls certificate", "tls key"
"""Those of TLS, if it is declared."""


def references(cluster: Cluster) -> dict[str, dict[str, str | None]]:
    """Where secrets are found, by their names: `file` or `environment`, `kind`, and the machine it is needed `on`.

    The kinds are those of whoever reads them: `key`, `word`, `text` and `public`.
    """
    keys = {key_secret(key.owner): (key.secret, "key") for key in cluster.gateway.keys}
    theirs = {backend.name: backend.secret for backend in cluster.gateway.external}
    words = {_external(name): (secret, "word") for name, secret in theirs.items() if secret is not None}
    return {
        name: {**secret.model_dump(), "kind": kind, "on": cluster.gateway.machine}
        for name, (secret, kind) in {**keys, **words, **_of_tls(cluster)}.items()
    }


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
