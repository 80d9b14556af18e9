"""The image that Docker workers run in: built once, and again when anything in it changes."""

from __future__ import annotations

import hashlib
import io
import logging
import platform
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from evolver.errors import SandboxUnavailable
from evolver.execute.interpreter import contract_file, runner_files
from evolver.resources import folder

logger = logging.getLogger(__name__)

NAME = "evolver-sandbox"
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "safetensors")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""PyTorch's own, of builds without CUDA, which on Linux are a fraction of the others."""
Variant = Literal["cpu", "cuda"]


def default_base() -> str:
    """The official image of the Python that runs here. The CUDA build of torch brings its own
    libraries, so the same base serves candidates on a GPU."""
    major, minor, _ = platform.python_version_tuple()
    return f"python:{major}.{minor}-slim"


def default_packages() -> str:
    """The libraries of candidates at the versions that are installed here."""
    return " ".join(f"{name}=={version(name).split('+')[0]}" for name in PACKAGES)


def default_index(variant: Variant) -> str:
    """Where to take libraries from first, so that the CPU variant brings no CUDA."""
    return CPU_INDEX if variant == "cpu" else ""


def inputs(
    base: str, variant: Variant = "cpu", index: str = "", digest: str = ""
) -> dict[str, bytes]:
    """The files of the build context by name, with the arguments as one of them. digest: what
    the name of the base stands for, as names move on to newer images."""
    runner = folder("sandbox")
    files = {"Dockerfile": (runner / "Dockerfile").read_bytes()}
    for file in runner_files():
        files[f"runner/{file.relative_to(runner).as_posix()}"] = file.read_bytes()
    files["runner/evolver/contract.py"] = contract_file().read_bytes()
    files["arguments"] = "\n".join([base, digest, variant, index, default_packages()]).encode()
    return files


def tag_of(files: dict[str, bytes]) -> str:
    """The name of the image with these inputs."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode())
        digest.update(files[name])
    return f"{NAME}:{digest.hexdigest()[:16]}"


def built(client: Any, base: str, variant: Variant = "cpu", index: str = "") -> str | None:
    """The tag of the image if the engine has it already. Fetches and builds nothing."""
    import docker

    try:
        tag = tag_of(inputs(base, variant, index, client.images.get(base).id))
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        return None
    return tag


def ensure_image(client: Any, base: str, variant: Variant = "cpu", index: str = "") -> str:
    """The tag of the image, built if it is not there, on the base as the engine has it, which is
    fetched if it is not there. Raises SandboxUnavailable with the end of the build's output."""
    import docker

    known = built(client, base, variant, index)
    if known is not None:
        return known
    logger.info("building the sandbox image from %s; this happens once", base)
    try:
        files = inputs(base, variant, index, _digest(client, base))
        tag = tag_of(files)
        client.images.build(
            fileobj=context(files),
            custom_context=True,
            tag=tag,
            target=variant,
            buildargs={"BASE": base, "PACKAGES": default_packages(), "INDEX": index},
            labels={"evolver": "image"},
            network_mode="host",
            rm=True,
            forcerm=True,
        )
    except docker.errors.BuildError as error:
        last = "".join(str(line.get("stream", "")) for line in error.build_log)[-500:]
        raise SandboxUnavailable(f"the sandbox image cannot be built: {error}\n{last}") from None
    except docker.errors.APIError as error:
        raise SandboxUnavailable(
            f"the sandbox image cannot be built from {base}: {error.explanation or error}"
        ) from None
    return tag


def _digest(client: Any, base: str) -> str:
    """What the name of an image stands for: a digest of its contents."""
    import docker

    try:
        found = client.images.get(base)
    except docker.errors.ImageNotFound:
        found = client.images.pull(base)
    return str(found.id)


def context(files: dict[str, bytes]) -> io.BytesIO:
    """A tar archive that is equal for equal files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    out.seek(0)
    return out


def files_to_show(view_files: list[Path], view: Path) -> dict[str, dict[str, str]]:
    """Read-only mounts of single files, in the words of the Docker SDK."""
    return {str(file): {"bind": str(view / file.name), "mode": "ro"} for file in view_files}
