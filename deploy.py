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
    releases,
    rollout,
    secrets,
    turns,
    weights,
)
from operations.lab import deciding, judging
from serving import daemons, layout, looking, report, updating
from serving.cluster import Cluster

me, cluster = host.data.machine, fleet.once(Cluster.model_validate_json, host.data.declaration)

# Look at every Mac and judge the whole lab: nothing has been changed yet, and a refusal leaves it so.
lab = judging.judged(cluster)
console.table(report.COLUMNS, lab.rows, below=lab.below)
fleet.refuse(lab.refusals)
todo = deciding.decided(lab, me)
account, plan, roll = cluster.account, todo.plan, todo.roll
fleet.settled(__file__, plan=todo.told)

# Prepare: everything that disturbs nobody, on all Macs at once.
accounts.service_account(account.name, name=f"Create account {account.name}", uid=account.uid, home=layout.STATE)
files.directories(layout.directories(account.name), name="Make directories")
headless.settings(looking.settings(cluster), name=headless.NAME, record=layout.SETTINGS_BEFORE)
environment.interpreter(layout.PYTHON, name="Lay Python", **todo.interpreter)
for laid in todo.environments():
    environment.environment(layout.ENVIRONMENTS, **laid)
environment.software(layout.SOFTWARE, name="Lay our software", **todo.software)
secrets.secrets(todo.secrets, name="Write secrets", owner=account.name, group=account.name)
for release in plan.releases(me):
    releases.release(**release.laid, name=f"Lay the {release.kind} release")
for daemon in roll.early_daemons(me):
    launchd.daemon(**daemon, name=f"Load {daemon['label']}")
links.confirmed(**plan.confirmation(me), name="Confirm the network")
for sent in todo.sent():
    weights.snapshot(**sent)
for brought in todo.brought():
    weights.brought(**brought)
for quantised in todo.quantised():
    weights.quantised(**quantised)
for fetch in updating.fetch(cluster, lab.seen, me):
    macos_update.fetched(**fetch, name="Fetch macOS")

# Roll: one replica after the other, each only when the one before it is proven; one that is not goes back by itself.
for turn in roll.taken:
    steps = {**roll.steps(turn, me), "macos": todo.update}
    turns.taken(turn.name, machines=turn.machines, steps=steps, record=roll.record)
for update in todo.update:
    spare = {"_if": lambda: rollout.unblocked() and updating.is_spare(cluster, me)}
    macos_update.updated(**update, **spare, name="Update macOS of Macs without a replica")

# Publish: the gateway, from what is proven; and what is no longer declared goes.
publish = rollout.publishing(on=cluster.gateway.machine, replicas=roll.published)
publish(name="Lay the gateway's release", operation=releases.release, arguments=plan.gateway_release)
publish(name=f"Load {daemons.GATEWAY}", operation=gateway.switched, arguments=plan.gateway_switch)
publish(name="Wait until the gateway answers", operation=gateway.answering, arguments=plan.gateway_answering)
publish(name="Write down address and key", operation=control.client_environment, arguments=lambda _: todo.clients)
launchd.undeclared(daemons.PREFIX, name="Remove the undeclared", declared=plan.labels(me), _if=rollout.unblocked)
if not plan.pending:
    keeping.kept(**roll.kept(me), name="Remove what is no longer kept", _if=rollout.unblocked)
rollout.verdict(name="Tell what failed")
console.closing(todo.closing, unless=rollout.failed)
