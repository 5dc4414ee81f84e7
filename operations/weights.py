"""Weights on a machine: exactly the files of a manifest, each checked where it arrived.

A file goes into place whole, and is vouched for in the receipt as soon as it is there, so a transfer of hundreds of
gigabytes that is cut off goes on with the file it was at.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from pyinfra.api.command import FunctionCommand, StringCommand
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import host

from operations.facts.weights import LISTING, FileOnDisk, Receipt, Vouched, WeightsOnDisk, listed, receipt_of
from operations.laying import arrived_whole
from operations.remote import Commands, complain, differs, operation, read, run
from operations.transfer import made, private_directory, sent

_LISTING_SECONDS = 60


@operation
def snapshot(directory: str, *, source: str | Path, manifest: Mapping[str, FileOnDisk]) -> Commands:
    """The files of `manifest` (relative path: size in bytes and sha256) in `directory`, and no others.

    `source` is a directory on the control machine that holds them.

    weights.snapshot(
        name="Send weights cider-1",
        directory="/opt/example/weights/cider-1",
        source="/Volumes/weights/cider-1",
        manifest={"config.json": {"size": 612, "sha256": "9f86d081884c7d65..."}},
    )
    """
    seen = read(host, WeightsOnDisk, directory=directory)
    good = {path: sha256 for path, file in seen.items() if manifest.get(path) == file and (sha256 := file["sha256"])}
    missing = [path for path in sorted(manifest) if path not in good]
    extra = sorted(seen.keys() - manifest.keys())
    if not missing and not extra:
        host.noop(f"{directory} holds the {len(manifest)} files of its manifest")
        return
    for path in missing:
        differs(f"weights {directory}/{path}", seen="another file" if path in seen else "missing", needed="as sent")
    for path in extra:
        differs(f"weights {directory}/{path}", seen="there", needed="nothing that is not in the manifest")
    if extra:
        yield shlex.join(("rm", "-f", *(f"{directory}/{path}" for path in extra)))
    private = private_directory()
    if missing:
        yield made(private)
    for path in missing:
        file = Path(source, path)
        yield sent(lambda file=file: file, f"{private}/{file.name}")
        good[path] = str(manifest[path]["sha256"])
        yield _placed(f"{private}/{file.name}", f"{directory}/{path}", good[path])
        yield FunctionCommand(_vouch, (directory, dict(good)), {})
    if missing:
        yield StringCommand(f"rmdir {private}", _sudo=False)


def _placed(arrived: str, final: str, sha256: str) -> StringCommand:
    # The first move may cross volumes and take long; the second never does.
    return StringCommand(
        f"set -eu; umask 022; arrived={shlex.quote(arrived)}; final={shlex.quote(final)}\n"
        f"{arrived_whole('$arrived', sha256)}\n"
        'chown root:wheel "$arrived"; chmod 644 "$arrived"; mkdir -p "${final%/*}"\n'
        'mv -f "$arrived" "$final.new"; mv -f "$final.new" "$final"'
    )


def _vouch(state: State, host: Host, directory: str, good: Mapping[str, str]) -> bool:  # noqa: ARG001 - pyinfra's
    """Write the receipt: which files are good, and when each last changed on this machine's own clock."""
    entered = f"export LC_ALL=C; cd {shlex.quote(directory)} && {LISTING}"
    succeeded, output = run(host, entered, timeout_seconds=_LISTING_SECONDS, as_root=True)
    if not succeeded:
        complain(host, f"cannot tell which weights are in {directory}: {output.stderr}")
        return False
    changed = listed(output.stdout_lines)
    files = {
        path: Vouched(size=changed[path][0], sha256=sha256, changed=changed[path][1])
        for path, sha256 in good.items()
        if path in changed
    }
    receipt = shlex.quote(receipt_of(directory))
    written, output = run(
        host,
        f"umask 022; cat > {receipt}.new && mv -f {receipt}.new {receipt}",
        timeout_seconds=_LISTING_SECONDS,
        as_root=True,
        stdin=Receipt(files=files).model_dump_json(),
    )
    if not written:
        complain(host, f"cannot write {receipt}: {output.stderr}")
    return written
