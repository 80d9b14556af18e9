"""Reads keys in the home of the user.

Promise: nothing of the user's home is visible
Expect: completed
Unconfined: escapes
"""

import os


def attack(train, budget):
    for path in (
        "@HOME_SECRET@",
        os.path.expanduser("~/.ssh/id_rsa"),
        "/root/.ssh/id_rsa",
        "/etc/shadow",
    ):
        if os.access(path, os.R_OK):
            escaped(path)
    if os.path.isdir("/home") and os.listdir("/home"):
        escaped("/home")
