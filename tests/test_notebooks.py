"""The notebooks run from top to bottom on a trained sample run."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from common.base.errors import InputError
from common.base.paths import ROOT, WorkPaths
from common.run.notebook import run_stages
from competitions.discovery import SLUGS, competition_of


@pytest.mark.parametrize("slug", SLUGS)
def test_the_notebook_runs(
    slug: str,
    sample: Callable[[str], Path],
    trained: Callable[[str], WorkPaths],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(trained(slug).work, tmp_path / slug)
    monkeypatch.setenv("COMPETITIONS_WORK", str(tmp_path))
    monkeypatch.setenv("COMPETITIONS_DATA", str(sample(slug).parent))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    )
    notebook = jupytext.read(ROOT / "notebooks" / f"{slug}.py")
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert printed.count("done already") >= 4, "the trained run is used as it is"
    shown = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    assert any("image/png" in output["data"] for output in shown), "predictions are looked at"
    assert any("text/html" in output["data"] or "text/plain" in output["data"] for output in shown)
    copied = {folder.name for folder in (tmp_path / "copy" / slug).iterdir()}
    settings = competition_of(slug).experiment("champion", "sample")
    assert copied == {"champion", *settings.parents}, "predicted from these folders alone"
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert f"from competitions.{slug} import load" in code
    assert ".predict(" in code
    nbformat.validate(notebook)


def test_a_stage_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1_preprocess.py ended with exit code 2: error: .*does not exist"):
        run_stages("bit_trader", tmp_path / "work", data=tmp_path / "nowhere")
