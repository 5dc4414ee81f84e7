"""pyinfra's own settings, read before the inventory."""

from pyinfra import config

from operations import interruption

config.REQUIRE_PYINFRA_VERSION = "~=3.10.0"
# A fleet is only right when every host is.
config.FAIL_PERCENT = 0
# Everything Cidermill changes on a Mac belongs to root or to the service account.
config.SUDO = True
# A deploy that a person ends has not succeeded.
interruption.told()
