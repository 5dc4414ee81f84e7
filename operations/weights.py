"""Weights on a machine: exactly the files of a manifest, each checked where it arrived.

A file goes into place whole, and is vouched for in the receipt as soon as it is there, so a transfer of hundreds of
gigabytes that is cut off goes on with the file it was at. Where machines bring files to each other, a program of ours
on each of them does; it runs within the deploy's own connection and not detached, because macOS cuts those off from the
local network that outlive theirs.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyinfra.api.command import FunctionCommand, StringCommand
from pyinfra.api.hiddenvalue import HiddenValue
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import host

from operations.attempts import LOST
from operations.facts.weights import LISTING, FileOnDisk, Receipt, Vouched, WeightsOnDisk, listed, receipt_of
from operations.laying import arrived_whole
from operations.rehearsal import rehearsal
from operations.remote import Commands, complain, differs, operation, read, run
from operations.transfer import made, private_directory, sent

_LISTING_SECONDS = 60
_BRINGING_SECONDS = 7 * 24 * 3600
"""A terabyte over a slow line takes days; the program itself notices when nothing comes any more."""


@operation
def snapshot(
    directory: str,
    *,
    source: str | Path,
    manifest: Mapping[str, FileOnDisk],
    only: Collection[str] | None = None,
) -> Commands:
    """The files of `manifest` (relative path: size in bytes and sha256) in `directory`, and no others.

    `source` is a directory on the control machine that holds them; with `only` these are sent from it, and what else is
    missing is brought by `brought`.

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
    missing = [path for path in missing if only is None or path in only]
    if not missing and not extra:
        host.noop(f"{directory} gets what it lacks from elsewhere")
        return
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


@operation
def brought(weights: str, *, order: str | None, command: Sequence[str], token: HiddenValue | None = None) -> Commands:
    """Files that a machine fetches, takes from others and hands on; all machines concerned do so at the same time.

    `order` is what `command` is told on its standard input, as JSON; with a `token`, the hub's, in it. None is for a
    machine that is not concerned. What the command prints is told as it comes.

    weights.brought(
        "cider-1",
        name="Bring weights cider-1",
        order='{"directory": "/opt/example/weights/cider-1"}',
        command=["/opt/example/bin/python", "-m", "example.carrying"],
    )
    """
    if order is None:
        host.noop(f"weights {weights} are not on their way here or from here")
        return
    if rehearsal().is_on:
        return  # `snapshot` has told which files are missing where; who only hands them on is as declared
    yield FunctionCommand(_bring, (weights, order, list(command), token), {})


@operation
def quantised(
    weights: str,
    *,
    order: str | None,
    command: Sequence[str],
    result: str = "",
    spent: Sequence[str] = (),
    pin: Callable[[str], None],
) -> Commands:
    """Weights made of others on this machine, by `command`, which is told `order` (JSON) on its standard input.

    It leaves what it made in the file `result`, whose text is given to `pin`; after that `spent` is removed. None as an
    order is for all other machines.

    weights.quantised(
        "cider-1",
        name="Quantise weights cider-1",
        order='{"quantise": "4bit"}',
        command=["/opt/example/bin/python", "-m", "example.quantising"],
        result="/opt/example/weights/cider-1-source.quantised.json",
        spent=["/opt/example/weights/cider-1-source"],
        pin=print,
    )
    """
    if order is None:
        host.noop(f"weights {weights} are quantised elsewhere")
        return
    differs(f"weights {weights}", seen="not quantised yet", needed="quantised, once")
    yield FunctionCommand(_quantise, (weights, order, list(command), result, pin), {})
    yield shlex.join(("rm", "-rf", result, *spent))


def _bring(
    state: State,  # noqa: ARG001 - pyinfra's
    host: Host,
    weights: str,
    order: str,
    command: Sequence[str],
    token: HiddenValue | None,
) -> bool:
    told: dict[str, Any] = json.loads(order)
    if token is not None and told.get("hub"):
        told["hub"]["token"] = str(token.unmask()).strip()
    return _ran(host, f"bring weights {weights}", command, json.dumps(told))


def _quantise(
    state: State,  # noqa: ARG001 - pyinfra's
    host: Host,
    weights: str,
    order: str,
    command: Sequence[str],
    result: str,
    pin: Callable[[str], None],
) -> bool:
    if not _ran(host, f"quantise weights {weights}", command, order):
        return False
    told, output = run(host, f"cat {shlex.quote(result)}", timeout_seconds=_LISTING_SECONDS, as_root=True)
    if not told:
        complain(host, f"cannot tell what quantising made of weights {weights}: {output.stderr}")
        return False
    pin(output.stdout)
    return True


def _ran(host: Host, what: str, command: Sequence[str], told: str) -> bool:
    """Whether a program succeeded that is told something on its standard input; what it says is printed."""
    try:
        succeeded, output = run(
            host, shlex.join(command), timeout_seconds=_BRINGING_SECONDS, as_root=True, show=True, stdin=told
        )
    except LOST as error:
        complain(
            host, f"cannot {what}: the connection was lost ({error}). Run the deploy again: what has come is kept."
        )
        return False
    if not succeeded:
        complain(host, output.stderr or f"cannot {what}: the program ended without a word")
    return succeeded


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
