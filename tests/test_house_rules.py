"""Rules of the house that a machine can check."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

from common.base.paths import ROOT
from competitions.discovery import SLUGS

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


@pytest.mark.parametrize("file", CODE, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_one_way(file: Path) -> None:
    modules = imported_modules(file)
    inside = file.relative_to(ROOT).parts
    if inside[0] == "common":
        assert not [module for module in modules if module.startswith("competitions")]
    elif len(inside) == 3:
        others = [slug for slug in SLUGS if slug != inside[1]]
        assert not [
            module for module in modules if module.startswith(tuple(f"competitions.{o}" for o in others))
        ]


@pytest.mark.parametrize("slug", SLUGS)
def test_no_noun_hides_an_installed_module(slug: str) -> None:
    # A script run by path has its own folder first on sys.path.
    for file in (ROOT / "competitions" / slug).glob("[a-z]*.py"):
        found = subprocess.run(
            [sys.executable, "-P", "-c", f"import importlib.util as u; print(u.find_spec({file.stem!r}))"],
            capture_output=True,
            text=True,
            cwd=ROOT.parent,
            check=True,
        )
        assert found.stdout.strip() == "None", f"{file.name} hides {found.stdout}"


@pytest.mark.parametrize("slug", SLUGS)
@pytest.mark.parametrize("stage", STAGES)
def test_stages_are_short_and_say_what_they_read_and_write(slug: str, stage: str) -> None:
    text = (ROOT / "competitions" / slug / stage).read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    doc = ast.get_docstring(ast.parse(text)) or ""
    for word in (f"python competitions/{slug}/{stage}", "Reads", "Writes"):
        assert word in doc


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
