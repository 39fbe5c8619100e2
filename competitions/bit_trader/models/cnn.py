"""The paper's CNN on open prices, with given hyper-parameters or those of its random search (Table 2)."""

from pathlib import Path

from common.base.atomic import write_text
from common.base.errors import InputError
from common.base.paths import display_path
from common.learn.arrays import Float32
from competitions.bit_trader.experiment import BitTraderExperiment
from competitions.bit_trader.models.networks import build_cnn
from competitions.bit_trader.models.neural import NetworkForecaster
from competitions.bit_trader.models.registry import FORECASTERS
from competitions.bit_trader.models.silent_keras import keras

SEARCH = "search.json"


@FORECASTERS.register("cnn")
class CnnForecaster(NetworkForecaster):
    """One-dimensional convolutions over unscaled open prices; 120 minutes at once."""

    def __init__(self, settings: BitTraderExperiment, device: str) -> None:
        self.cnn = settings.cnn
        self.search_results = ""
        super().__init__(settings, device)

    def build(self) -> keras.Model:
        """(batch, lookback, 1) -> (batch, 120)."""
        return build_cnn(self.cnn, self.lookback)

    def search(self, inputs: Float32, targets: Float32, resume_dir: Path, seed: int) -> None:
        """Take the architecture and learning rate of the best trial, if the experiment asks for a search."""
        if not self.settings.search.max_trials:
            return
        # Keras Tuner takes seconds to import; only searches need it.
        from competitions.bit_trader.models.random_search import search_cnn

        best = search_cnn(
            self.settings.search,
            self.settings.cnn,
            inputs,
            targets,
            batch_size=self.settings.training.batch_size,
            folder=resume_dir,
            seed=seed,
        )
        self.cnn, self.learning_rate = best.cnn, best.learning_rate
        self.search_results = best.as_json()

    def save(self, folder: Path) -> list[Path]:
        """The weights and, after a search, all its trials."""
        files = super().save(folder)
        if not self.settings.search.max_trials:
            return files
        write_text(folder / SEARCH, self.search_results)
        return [*files, folder / SEARCH]

    def load(self, folder: Path) -> None:
        """Read the weights of a fold, into the architecture that its search chose."""
        if self.settings.search.max_trials:
            from competitions.bit_trader.models.random_search import read_search_result

            if not (folder / SEARCH).is_file():
                raise InputError(f"{display_path(folder / SEARCH)} is missing: run 2_train_folds.py first")
            self.cnn = read_search_result(folder / SEARCH).cnn
            self.network = self.build()
        super().load(folder)
