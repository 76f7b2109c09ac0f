"""The measures by which the page colours and sorts classes."""

MEASURES = {
    "objective": "objective",
    "gap": "gap to the lower bound",
    "transport": "transport term",
    "statistics": "statistics term",
    "confidence": "confidence term",
    "left_out_share": "share left out",
    "seconds": "seconds",
    "swaps": "swaps",
    "size": "images",
}
"""Title of each measure by its name in a selection, in the order of the page."""
