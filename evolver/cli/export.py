"""`evolver export`: the winner as a package of its own, with the sealed test on its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evolver.cli.options import Json, RereadTest


def export(
    place: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="The run's folder; default the latest.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder to write; must not exist yet.")
    ] = Path("my_recommender"),
    candidate: Annotated[
        str | None,
        typer.Option(
            help="A candidate's number or id, or best; default the promoted one, else the best."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The package's name; default the folder's name.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an earlier export in that folder.")
    ] = False,
    licence: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="What the model card says of the licence; default: none is stated."
        ),
    ] = "",
    onnx: Annotated[
        bool,
        typer.Option(
            "--onnx",
            help="Add scorer.onnx, checked to rank as was measured, where the program offers a "
            "scorer. Needs: pip install 'evolver[onnx]'.",
        ),
    ] = False,
    reread_test: RereadTest = False,
    as_json_: Json = False,
) -> None:
    """Refit the promoted candidate on all but the test part and write an installable package.

    Where nothing is promoted it is the best of the search, and that is said. The package needs
    torch and numpy, not evolver. Its model card holds the sealed test beside the incumbent, which
    is read once: exporting the same candidate again shows the same reading. Exporting one that is
    not promoted opens the test for it, and closes it for whatever the run promotes later. A
    pipeline becomes one package, with every agent that serves.
    """
    from evolver.cli.exporting import Wanted, carry_out

    carry_out(
        Wanted(
            place=place,
            out=out,
            name=name or out.resolve().name.replace("-", "_"),
            candidate=candidate,
            overwrite=overwrite,
            reread_test=reread_test,
            licence=licence,
            onnx=onnx,
            json=as_json_,
        )
    )
