"""Random writes that go on for ever without the tables growing for ever."""

from __future__ import annotations

import random

from tests.oracle.operations import CREATED, Writer

__all__ = ["CrowdedWriter"]


class CrowdedWriter(Writer):
    """Beyond so many ``rows`` it rather deletes some."""

    def __init__(self, seed: int | random.Random, *, rows: int) -> None:
        super().__init__(seed)
        self._rows = rows

    def step(self) -> None:
        if sum(model._base_manager.count() for model in CREATED) > self._rows and self.random.random() < 0.5:
            self.random.choice([self._delete, self._delete_many])()
        else:
            super().step()
