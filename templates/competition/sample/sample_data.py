"""Draw a small synthetic competition in the official layout.

    python -m competitions.my_competition.sample.sample_data --out DIR

A machine runs hotter the more load it carries; it fails where it is too hot for its load and its oil is old.
Machines differ, so that rows of one machine in two folds would leak. Some readings are missing. The labels of
the test split lie in truth/test.csv, where no stage looks.

Replace: the tables. Keep the official file names, the traps of the real files, and the truth apart.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from common.learn.seeding import derived_seed
from common.run.sample_data import sample_data_command
from competitions.my_competition.competition import COMPETITION
from competitions.my_competition.data.tables import GROUP, ID, LABEL, READINGS

MACHINES, ROWS_PER_MACHINE = 60, 25
FEWEST_MACHINES = 12
TEST_SHARE, MISSING_SHARE = 0.3, 0.01


def write_sample_data(folder: Path, seed: int, scale: float = 1.0) -> None:
    """Fill an empty folder; `scale` multiplies the number of machines."""
    generator = np.random.default_rng(derived_seed(seed, "machines"))
    machines = max(FEWEST_MACHINES, round(MACHINES * scale))
    table = _rows(machines, generator)
    in_test = table[GROUP].isin(generator.permutation(table[GROUP].unique())[: round(machines * TEST_SHARE)])
    train, test = table[~in_test], table[in_test]
    _write(folder / "train.csv", train)
    _write(folder / "test.csv", test.drop(columns=LABEL))
    _write(folder / "sample_submission.csv", test[[ID]].assign(**{LABEL: 0}))
    (folder / "truth").mkdir()
    _write(folder / "truth" / "test.csv", test[[ID, LABEL]])


def _rows(machines: int, generator: np.random.Generator) -> pd.DataFrame:
    machine = np.repeat(np.arange(machines), ROWS_PER_MACHINE)
    n = len(machine)
    warmer, shakier = generator.normal(0, 4, machines)[machine], generator.gamma(4, 0.25, machines)[machine]
    load = generator.uniform(0.2, 1.0, n)
    heat = generator.normal(0, 8, n)
    oil_age = generator.uniform(0, 400, n)
    temperature = 30 + 50 * load + warmer + heat
    vibration = shakier * (1 + load) * generator.lognormal(0, 0.2, n)
    logit = -3.5 + 0.3 * heat * (oil_age > 150) + 1.5 * (vibration - 1.5)
    fails = generator.random(n) < 1 / (1 + np.exp(-logit))
    table = pd.DataFrame(
        {
            ID: [f"row{number:05d}" for number in generator.permutation(n)],
            GROUP: [f"m{number:03d}" for number in machine],
            "load": load.round(3),
            "temperature": temperature.round(1),
            "vibration": vibration.round(2),
            "oil_age": oil_age.round(),
            LABEL: fails.astype(int),
        }
    )
    for name in READINGS:
        table.loc[generator.random(n) < MISSING_SHARE, name] = np.nan
    return table.sort_values(ID, ignore_index=True)


def _write(path: Path, table: pd.DataFrame) -> None:
    table.to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    sample_data_command(COMPETITION, __doc__)
