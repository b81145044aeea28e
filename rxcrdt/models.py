"""What rxcrdt keeps in the project's own database: what has to outlive every store."""

from __future__ import annotations

from django.db import models

__all__ = ["TruthId"]


class TruthId(models.Model):
    """One row: the last truth id that any lineage of any document was given. See ``rxcrdt.truth_ids``."""

    last = models.BigIntegerField()

    class Meta:
        verbose_name = "truth id"

    def __str__(self) -> str:
        return str(self.last)
