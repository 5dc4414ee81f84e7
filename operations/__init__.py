"""How to read and change Macs with pyinfra. This package knows Macs; it never imports `serving`.

Operations need root on the machine: `config.py` asks for sudo once for all of them. Each reads first, yields only the
differences, and says why when there are none.
"""
