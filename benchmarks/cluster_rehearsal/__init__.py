"""Every stage of the ImageNet run on a cluster of logical resources, with stand-in workers."""

import os
import secrets

# Nodes of one cluster find each other by an address of this machine, which others may reach. Ray
# reads these when it is imported first.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex())
