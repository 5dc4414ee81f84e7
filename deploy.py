"""What every Mac of a lab becomes:  pyinfra inventories/lab.py deploy.py"""

from pyinfra import host

from operations import (
    accounts,
    console,
    control,
    environment,
    files,
    fleet,
    gateway,
    headless,
    keeping,
    launchd,
    links,
    macos_update,
    packaging,
    pythons,
    releases,
    rollout,
    secrets,
    turns,
    weights,
)
from serving import (
    certificate,
    daemons,
    forecast,
    hidden,
    layout,
    looking,
    plan,
    report,
    roll,
    seen,
    updating,
    verdict,
    versions,
)
from serving.anatomy.keeping import anatomies
from serving.cluster import Cluster
from serving.errors import CidermillError
from serving.measuring import receipts
from serving.placement import declared as placing
from serving.placement.advising import advice
from serving.supply import pinned, planning

me, cluster = host.data.machine, fleet.once(Cluster.model_validate_json, host.data.declaration)
account, hub_tokens = cluster.account.name, control.words(hidden.hub_tokens(cluster))
known = fleet.checked(CidermillError, pinned.known, cluster, control.DIRECTORY, hub_tokens)

# Look at every Mac and judge the whole lab: nothing has been changed yet, and a refusal leaves it so.
facts = fleet.look(lambda name: looking.at(cluster, planning.directories(known), name))
lab = fleet.once(seen.lab, facts)
given = fleet.once(hidden.references, cluster, lab)
placed = fleet.once(placing.placed, cluster, lab, fleet.once(anatomies, cluster, known))
supply = fleet.once(planning.supply, cluster, known, facts, lab)
findings = [*fleet.once(verdict.findings, cluster, lab, planning.sizes(cluster, known), placed), *supply.findings]
below = report.below(cluster, findings, advice(placed))
console.table(report.COLUMNS, fleet.once(report.rows, cluster, lab, findings), below=below)
fleet.refuse([*report.refusals(findings), *control.unusable(given), *fleet.once(certificate.refusals, cluster)])

python = pythons.python_for(me, facts[me], declared=cluster.python.model_dump(), root=layout.PYTHON)
packages = packaging.packages(target=python.target, package="serving", mac_wheels=versions.JACCL_WHEEL)
keys = control.kept_secrets(cluster.name, [hidden.CLUSTER_TOKEN, hidden.GATEWAY_KEY], given=given)
planned = plan.Plan(cluster, lab, pinned.manifests(known), packages, placed, control.digests(keys), supply.pending)
clients = {"path": control.client_file(cluster.name), "variables": report.variables(cluster, keys[hidden.GATEWAY_KEY])}
rolling = fleet.once(roll.of, planned, facts, launchd.differing)
measured = fleet.once(receipts.read, control.receipts(cluster.name))
forecasted = [] if supply.pending else fleet.once(forecast.lines, rolling, measured)
fleet.settled(__file__, plan=[*supply.told, *forecasted])

# Prepare: everything that disturbs nobody, on all Macs at once.
accounts.service_account(account, name=f"Create account {account}", uid=cluster.account.uid, home=layout.STATE)
files.directories(layout.directories(account), name="Make directories")
headless.settings(looking.settings(cluster), name=headless.NAME, record=layout.SETTINGS_BEFORE)
environment.interpreter(layout.PYTHON, name="Lay Python", package=python.package, version=python.target.python)
for kind in planned.environments(me):
    laid = {"package": packages[kind], "python": python.path, **versions.PROOF[kind]}
    environment.environment(layout.ENVIRONMENTS, name=f"Lay the {kind} environment", **laid)
laid = {"package": packages["software"], "python": planned.interpreter("node"), **versions.PROOF["software"]}
environment.software(layout.SOFTWARE, name="Lay our software", **laid)
secrets.secrets(planned.secrets(me, keys, control.hidden), name="Write secrets", owner=account, group=account)
for release in planned.releases(me):
    releases.release(**release.laid, name=f"Lay the {release.kind} release")
for daemon in rolling.early_daemons(me):
    launchd.daemon(**daemon, name=f"Load {daemon['label']}")
links.confirmed(**planned.confirmation(me), name="Confirm the network")
for name, sent in supply.sent_to(me):
    weights.snapshot(**sent, name=f"Send weights {name}")
for name in supply.names:
    told = {"order": supply.order(me, name), "token": keys.get(hidden.hub_token(name))}
    weights.brought(name, name=f"Bring weights {name}", command=planned.program("serving.supply.carrying"), **told)
for name in sorted(supply.pending):
    made = {**supply.conversion(me, name), "pin": pinned.pinning(cluster, control.DIRECTORY, name)}
    weights.quantised(name, name=f"Quantise {name}", command=planned.program("serving.supply.quantising"), **made)
for fetch in updating.fetch(cluster, lab, me):
    macos_update.fetched(**fetch, name="Fetch macOS")

# Roll: one replica after the other, each only when the one before it is proven; one that is not goes back by itself.
update = updating.update(cluster, lab, me, keys)
for turn in () if supply.pending else rolling.turns:
    steps = {**rolling.steps(turn, me), "macos": update}
    turns.taken(turn.name, machines=turn.machines, steps=steps, record=rolling.record)
for wanted in update:
    spare = {"_if": lambda: rollout.unblocked() and updating.is_spare(cluster, me)}
    macos_update.updated(**wanted, **spare, name="Update macOS of Macs without a replica")

# Publish: the gateway, from what is proven; and what is no longer declared goes.
replicas = [] if supply.pending else [each.name for each in cluster.replicas]
publish = rollout.publishing(on=cluster.gateway.machine, replicas=replicas)
publish(name="Lay the gateway's release", operation=releases.release, arguments=planned.gateway_release)
publish(name=f"Load {daemons.GATEWAY}", operation=gateway.switched, arguments=planned.gateway_switch)
publish(name="Wait until the gateway answers", operation=gateway.answering, arguments=planned.gateway_answering)
publish(name="Write down the address and the key", operation=control.client_environment, arguments=lambda _: clients)
launchd.undeclared(daemons.PREFIX, name="Remove the undeclared", declared=planned.labels(me), _if=rollout.unblocked)
if not supply.pending:
    keeping.kept(**rolling.kept(me), name="Remove what is no longer kept", _if=rollout.unblocked)
rollout.verdict(name="Tell what failed")
console.closing(supply.again or report.endpoint(cluster, clients["path"]), unless=rollout.failed)
