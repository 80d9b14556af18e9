"""Looks for keys in the environment.

Promise: the environment is allow-listed
Expect: completed
"""

import os

ALLOWED = {
    "HOME",
    "TMPDIR",
    "USER",  # "sandbox"
    "PATH",
    "LANG",
    "PWD",
    "PYTHONHASHSEED",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "CUBLAS_WORKSPACE_CONFIG",
    "KMP_DUPLICATE_LIB_OK",
    "KMP_INIT_AT_FORK",
    "TORCHINDUCTOR_CACHE_DIR",
    "LC_CTYPE",
    "HOSTNAME",
    "CUDA_VISIBLE_DEVICES",
}

# What Podman sets for itself, and official images of Python.
IMAGE = {"TERM", "container", "PYTHON_VERSION", "PYTHON_SHA256", "GPG_KEY", "PYTHON_PIP_VERSION"}


def attack(train, budget):
    seen = set(os.environ) | {
        line.split(b"=")[0].decode()
        for line in open("/proc/self/environ", "rb").read().split(b"\0")
        if line
    }
    for name in seen - ALLOWED - IMAGE:
        escaped(name)
