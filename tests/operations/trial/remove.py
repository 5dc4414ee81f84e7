"""All of that away again, but for the weights."""

from operations import removal
from tests.operations.trial.corner import ACCOUNT, KEPT, PATHS, PREFIX, RECORD, UNDO

removal.daemons(PREFIX, name="Remove the daemons", undo=UNDO)
removal.settings(RECORD, name="Put settings back")
removal.service_account(**ACCOUNT, name="Remove the account")
removal.files(PATHS, name="Remove files", keep=KEPT)
removal.proven(PREFIX, name="See that nothing is left", **ACCOUNT, record=RECORD, paths=PATHS, keep=KEPT)
