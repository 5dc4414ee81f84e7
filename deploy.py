"""What every Mac of a lab becomes:  pyinfra inventories/lab.py deploy.py"""

from functools import partial

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
    launchd,
    links,
    packaging,
    pythons,
    releases,
    rollout,
    secrets,
    weights,
)
from serving import certificate, daemons, hidden, layout, looking, plan, report, seen, verdict, versions
from serving.cluster import Cluster
from serving.weights import manifests

me, cluster = host.data.machine, fleet.once(Cluster.model_validate_json, host.data.declaration)
account, given, weights_files = cluster.account.name, hidden.references(cluster), fleet.once(manifests, cluster)

# Look at every Mac and judge the whole lab: nothing has been changed yet, and a refusal leaves it so.
facts = fleet.look(lambda name: looking.at(cluster, weights_files, name))
lab = fleet.once(seen.lab, facts)
findings = fleet.once(verdict.findings, cluster, lab, looking.sizes(weights_files))
console.table(report.COLUMNS, fleet.once(report.rows, cluster, lab, findings), below=report.below(cluster, findings))
fleet.refuse([*report.refusals(findings), *control.unusable(given), *fleet.once(certificate.refusals, cluster)])

python = pythons.python_for(me, facts[me], declared=cluster.python.model_dump(), root=layout.PYTHON)
packages = packaging.packages(target=python.target, package="serving", mac_wheels=versions.JACCL_WHEEL)
keys = control.kept_secrets(cluster.name, [hidden.CLUSTER_TOKEN, hidden.GATEWAY_KEY], given=given)
planned = plan.Plan(cluster, lab, weights_files, packages, control.digests(keys))
clients = {"path": control.client_file(cluster.name), "variables": report.variables(cluster, keys[hidden.GATEWAY_KEY])}
fleet.settled(__file__)

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
for sent in planned.weights(me):
    weights.snapshot(sent.directory, name=f"Send weights {sent.name}", source=sent.source, manifest=sent.files)
for release in planned.releases(me):
    releases.release(**release.laid, name=f"Lay the {release.kind} release")
for daemon in planned.daemons(me):
    launchd.daemon(**daemon, name=f"Load {daemon['label']}")
links.confirmed(**planned.confirmation(me), name="Confirm the network")

# Roll: one replica after the other, each only when the one before it is ready.
for replica in cluster.replicas:
    together = {"members": replica.machines, "operation": launchd.daemon, "arguments": planned.agent_daemon(me)}
    rollout.step(replica.name, name=f"Replica {replica.name}: load agents on {', '.join(replica.machines)}", **together)
    rollout.ready(replica.name, name=f"Replica {replica.name}: start its ranks together", **planned.proof(replica))

# Publish: the gateway, from what is proven; and what is no longer declared goes.
publish = partial(rollout.publish, on=cluster.gateway.machine, replicas=[each.name for each in cluster.replicas])
publish(name="Lay the gateway's release", operation=releases.release, arguments=planned.gateway_release)
publish(name=f"Load {daemons.GATEWAY}", operation=launchd.daemon, arguments=planned.gateway_daemon)
publish(name="Wait until the gateway answers", operation=gateway.answering, arguments=planned.gateway_answering)
publish(name="Write down the address and the key", operation=control.client_environment, arguments=lambda _: clients)
launchd.undeclared(daemons.PREFIX, name="Remove the undeclared", declared=planned.labels(me), _if=rollout.unblocked)
rollout.verdict(name="Tell what failed")
console.closing(report.endpoint(cluster, clients["path"]), unless=rollout.failed)
