"""LightGBM (Ke et al. 2017), trained the same way everywhere: deterministic, by row, kept as text."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common.base.atomic import write_text
from common.base.errors import InputError
from common.base.paths import display_path

if TYPE_CHECKING:
    import lightgbm

    from common.learn.arrays import AnyArray


def train_lightgbm(
    features: "AnyArray",
    target: "AnyArray",
    *,
    objective: Literal["regression", "l2", "binary"],
    num_boost_round: int,
    num_leaves: int,
    learning_rate: float,
    min_data_in_leaf: int,
    seed: int,
    num_threads: int = 0,
    feature_names: list[str] | None = None,
    **parameters: Any,
) -> "lightgbm.Booster":
    """Train one booster; the same seed and the same number of threads give the same trees.

    Parameters
    ----------
    features : (rows, features).
    target : (rows,) values, or 0 and 1 for `binary`.
    num_threads : 0 takes all cores.
    feature_names : one per column; LightGBM's text format ends a name at a blank or a colon.
    parameters : further ones of LightGBM, by its own names.
    """
    import lightgbm

    settings: dict[str, Any] = {
        "objective": objective,
        "num_leaves": num_leaves,
        "learning_rate": learning_rate,
        "min_data_in_leaf": min_data_in_leaf,
        "seed": seed % 2**31,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": num_threads,
        "verbosity": -1,
    } | parameters
    names: Any = "auto" if feature_names is None else [_plain(name) for name in feature_names]
    table = lightgbm.Dataset(features, target, feature_name=names, params={"verbosity": -1})
    return lightgbm.train(settings, table, num_boost_round=num_boost_round)


def save_booster(path: Path, booster: "lightgbm.Booster") -> None:
    """Write a booster as LightGBM's text, whole or not at all."""
    write_text(path, booster.model_to_string())


def load_booster(path: Path) -> "lightgbm.Booster":
    """Read what `save_booster` wrote; InputError when it is missing or damaged."""
    if not path.is_file():
        raise InputError(f"{display_path(path)} is missing: run 2_train_folds.py first")
    try:
        return booster_of(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError):
        raise InputError(
            f"{display_path(path)}: not a LightGBM model; delete it and run 2_train_folds.py again"
        ) from None


def booster_of(text: str) -> "lightgbm.Booster":
    """A booster from LightGBM's text; ValueError when it is damaged.

    LightGBM ends the process on a text that is cut short, so its end is looked at first.
    """
    import lightgbm

    if not text.startswith("tree\n") or "\nend of trees\n" not in text:
        raise ValueError("not the text of a LightGBM model, or cut short")
    try:
        return lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as fault:
        raise ValueError(str(fault)) from None


def _plain(name: str) -> str:
    return name.replace(" ", "_").replace(":", "")
