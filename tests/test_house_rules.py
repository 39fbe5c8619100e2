"""Rules of the house that a machine can check."""

import ast
import graphlib
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from common.base.paths import ROOT
from competitions.discovery import SLUGS

MOST_ENTRIES = 18
STAGES = ("1_preprocess.py", "2_train_folds.py", "3_infer.py", "4_make_submission.py")
CODE = sorted([*(ROOT / "common").rglob("*.py"), *(ROOT / "competitions").rglob("*.py")])


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    ).stdout.split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def imported_modules(file: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


def module_name(file: Path) -> str:
    """`common.run.stage`; a package has the name of its folder."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("file", CODE, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_one_way(file: Path) -> None:
    modules = imported_modules(file)
    inside = file.relative_to(ROOT).parts
    if inside[0] == "common":
        assert not [module for module in modules if module.startswith("competitions")]
    elif inside[1] in SLUGS:
        others = tuple(f"competitions.{slug}." for slug in SLUGS if slug != inside[1])
        assert not [module for module in modules if f"{module}.".startswith(others)]
        # Numbered scripts are verbs: nothing imports them, and nothing but them runs the pipeline.
        pipeline = f"competitions.{inside[1]}.pipeline"
        assert pipeline not in modules or inside[2] == "predict"


def test_imports_never_run_in_a_circle() -> None:
    """Imports within functions and for type checkers count; a package counts by what its own file imports."""
    files = {module_name(file): file for file in CODE}
    arrows = {
        name: {module for module in imported_modules(file) if module in files and module != name}
        for name, file in files.items()
    }
    # `from package.module import name` names package.module and, where it is none, package.module.name.
    try:
        tuple(graphlib.TopologicalSorter(arrows).static_order())
    except graphlib.CycleError as fault:
        pytest.fail(" -> ".join(fault.args[1]))


def test_no_folder_is_crowded() -> None:
    """A competition or a room can be taken in at a glance."""
    folders = {
        file.parent
        for file in tracked_files()
        if file.relative_to(ROOT).parts[0] in ("common", "competitions")
    }
    assert len(folders) > 20, "tracked files are found"
    for folder in folders:
        entries = [path.name for path in folder.iterdir() if path.name != "__pycache__"]
        assert len(entries) <= MOST_ENTRIES, f"{folder.relative_to(ROOT)}: {len(entries)} entries"


@pytest.mark.parametrize("slug", SLUGS)
def test_the_same_role_has_the_same_place(slug: str) -> None:
    for name in (
        "README.md",
        "experiments.toml",
        *STAGES,
        "pipeline.py",
        "experiment.py",
        "competition.py",
        "rules/metric.py",
        "rules/submission.py",
        "rules/baselines.py",
        "data/folds.py",
        "models/registry.py" if slug != "shopee_matching" else "candidates/registry.py",
        "decision",
        "predict/predictor.py",
        "predict/own_data.py",
        "report/figures.py",
        "sample/sample_data.py",
    ):
        assert (ROOT / "competitions" / slug / name).exists(), name


@pytest.mark.parametrize("slug", SLUGS)
def test_no_module_or_room_hides_an_installed_module(slug: str) -> None:
    # A script run by its path has its own folder first on sys.path.
    folder = ROOT / "competitions" / slug
    names = {path.stem for path in folder.glob("[a-z]*.py")}
    names |= {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert {"data", "report"} <= names
    found = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            f"import importlib.util as u; print([n for n in {names!r} if u.find_spec(n)])",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT.parent,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        check=True,
    )
    assert found.stdout.strip() == "[]", f"hidden: {found.stdout}"


@pytest.mark.parametrize("slug", SLUGS)
def test_scripts_run_by_path_and_as_modules(slug: str) -> None:
    for arguments in (
        [f"competitions/{slug}/2_train_folds.py"],
        ["-m", f"competitions.{slug}.2_train_folds"],
    ):
        done = subprocess.run(
            [sys.executable, *arguments, "--help"], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert (done.returncode, "--experiment" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("stage", STAGES)
def test_stages_are_thin_and_say_what_they_read_and_write(slug: str, stage: str) -> None:
    text = (ROOT / "competitions" / slug / stage).read_text(encoding="utf-8")
    tree = ast.parse(text)
    doc = ast.get_docstring(tree) or ""
    for word in (f"python competitions/{slug}/{stage}", "Reads", "Writes"):
        assert word in doc
    code = len(text.splitlines()) - len(doc.splitlines())
    assert code <= 30, f"{code} lines of code; the work belongs into pipeline.py"
    for module in imported_modules(ROOT / "competitions" / slug / stage):
        assert module.split(".")[0] in (*sys.stdlib_module_names, "common", "competitions"), module


def test_experiments_are_told_by_what_they_change() -> None:
    files = [ROOT / "competitions" / slug / "experiments.toml" for slug in SLUGS]
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) <= 275 * len(SLUGS)


def test_torch_files_are_read_as_weights_only() -> None:
    for file in CODE:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called == "torch.load":
                assert any(
                    k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords
                ), file
            assert called not in ("eval", "exec", "pickle.load", "pickle.loads", "os.system"), file
            assert not any(k.arg == "shell" and ast.unparse(k.value) != "False" for k in node.keywords), file


def test_no_large_or_generated_files_are_tracked() -> None:
    generated = (
        ".pt",
        ".pth",
        ".ckpt",
        ".onnx",
        ".h5",
        ".keras",
        ".npy",
        ".npz",
        ".parquet",
        ".zip",
        ".safetensors",
    )
    for file in tracked_files():
        assert file.stat().st_size <= 1_000_000, file
        assert file.suffix not in generated, file


def test_requirements_are_exact_and_agree_with_the_constraints() -> None:
    constraints = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    lines = [
        line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] not in "#-"
    ]
    for line in lines:
        name, version = line.split("==")
        assert constraints[name] == version
    assert re.search(r"^-e \.$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)


def test_every_import_is_required() -> None:
    """Whatever the code imports is the standard library, the project, or a line of requirements.txt."""
    required = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    owners = importlib.metadata.packages_distributions()
    normal = {name.lower().replace("_", "-") for name in required}
    for file in CODE:
        for module in imported_modules(file):
            top = module.split(".")[0]
            if top in sys.stdlib_module_names or top in ("common", "competitions"):
                continue
            names = {name.lower().replace("_", "-") for name in owners.get(top, [])}
            assert names & normal, (
                f"{file.relative_to(ROOT)} imports {top}, which requirements.txt does not name"
            )


@pytest.mark.parametrize("readme", ["README.md", *(f"competitions/{slug}/README.md" for slug in SLUGS)])
def test_links_of_the_readmes_lead_somewhere(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#\s]+)", text):
        if not link.startswith("http"):
            assert (ROOT / readme).parent.joinpath(link).exists(), link
