"""What to cite for a subset: the paper of the method, and this tool."""

from otcondense import __version__

OWN_METHOD = "geometry_aware"
"""The method of the paper; the docstrings of the others name theirs."""
PAPER = "https://arxiv.org/abs/2606.05883"
PAPER_ENTRY = f"""\
@article{{gadc2026,
  title  = {{Geometry-aware dataset condensation for diffusion model training}},
  author = {{{{The authors of arXiv:2606.05883}}}},
  year   = {{2026}},
  url    = {{{PAPER}}}
}}
"""
TOOL_ENTRY = f"""\
@software{{otcondense,
  title   = {{{{OTCondense}}: small real subsets for training diffusion transformers}},
  author  = {{{{The OTCondense developers}}}},
  year    = {{2026}},
  version = {{{__version__}}}
}}
"""


def entries(method: str | None) -> str:
    """Return the BibTeX entries for a subset.

    Args:
        method: that chose it; None if it is not known.
    """
    return f"{PAPER_ENTRY}{TOOL_ENTRY}" if method == OWN_METHOD else TOOL_ENTRY
