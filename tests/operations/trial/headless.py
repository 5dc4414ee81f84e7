"""A headless server with a daemon, an account and files, in a corner of one Mac."""

from operations import accounts, files, headless, launchd, releases
from tests.operations.trial.corner import ACCOUNT, DAEMONS, DIRECTORIES, RECORD, ROOT, SOFTWARE, WANTED

accounts.service_account(ACCOUNT["account"], name="Create an account", uid=ACCOUNT["uid"], home="/var/empty")
files.directories(DIRECTORIES, name="Make directories")
releases.release(f"{ROOT}/software", name="Lay software", links={}, files=SOFTWARE)
headless.settings(WANTED, name="Make a server of it", record=RECORD)
for plist in DAEMONS:
    launchd.daemon(plist["Label"], name=f"Load {plist['Label']}", plist=plist)
