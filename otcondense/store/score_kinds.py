"""The kinds of difficulty scores; configurations import this without arrays or Parquet."""

from typing import Literal, get_args

ScoreKind = Literal["denoising", "aum"]
SCORE_KINDS: tuple[ScoreKind, ...] = get_args(ScoreKind)
HARD_END: dict[str, str] = {"denoising": "high", "aum": "low"}
"""Which end of each kind of score is hard."""
