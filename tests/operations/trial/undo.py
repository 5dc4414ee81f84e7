"""Nothing is declared any more."""

from operations import launchd, releases

launchd.undeclared("dev.trial.", name="Remove jobs", declared=set())
releases.collected("/opt/trial", name="Remove everything", keep=set())
