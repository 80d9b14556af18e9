"""Rewrites the runner, the contract, the data and the libraries on disk.

Promise: nothing that others use can be changed
Expect: completed
"""

import os
import shutil

import numpy
import torch


def attack(train, budget):
    places = [
        "/opt/evolver",
        "/view",
        os.path.dirname(torch.__file__),
        os.path.dirname(numpy.__file__),
        os.path.dirname(os.__file__),
    ]
    for place in places:
        for folder, folders, files in os.walk(place):
            for file in files[:3]:
                path = os.path.join(folder, file)
                for act in (
                    lambda: os.close(os.open(path, os.O_WRONLY)),
                    lambda: os.unlink(path),
                    lambda: os.rename(path, path + "x"),
                    lambda: os.chmod(path, 0o777),
                    lambda: os.utime(path),
                ):
                    try:
                        act()
                    except OSError:
                        continue
                    escaped(path)
            folders[:] = folders[:5]
