"""`cidermill`: what is asked of a lab beside deploying to it. Like `deploy.py` it knows both worlds."""

# As early as can be: pyinfra waits for many machines at once by greenlets.
from gevent import monkey

monkey.patch_all()
