"""The commands that ask nothing of a Mac: `cidermill plan` and `cidermill evaluate`.

They are reached through `operations.command.main` on the machine you type on; on the Macs nobody calls them, and what
they draw with is not there.
"""
