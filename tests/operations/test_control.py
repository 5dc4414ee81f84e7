"""What the control machine keeps, and what is given to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from operations import control


def test_secrets_that_are_given_are_read_and_kept_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / ".cidermill" / "lab.secrets.json"
    kept.parent.mkdir()
    kept.write_text(json.dumps({"token": "t", "an older one": "o"}))
    (tmp_path / "lab.key").write_text("PRIVATE")

    secrets = control.kept_secrets("lab", ["token"], given={"tls_key": str(tmp_path / "lab.key")})

    assert {name: secret.unmask() for name, secret in secrets.items()} == {"token": "t", "tls_key": "PRIVATE"}
    assert "PRIVATE" not in kept.read_text()
    assert "PRIVATE" not in repr(secrets)
