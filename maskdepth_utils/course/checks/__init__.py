"""Instant checks of the notebooks' exercises, for instance ``checks.check_iou(my_iou)``.

Each check tries an answer on several inputs, prints one verdict (solved, not solved yet, or what is wrong, with a
hint) and returns True or False. It never raises, so that a notebook with open exercises runs to its end.
"""

from .nb01 import check_split, check_threshold, check_z_depth
from .nb02 import check_bce, check_iou, check_size
from .nb03 import check_inflation, check_layers, check_parameters, check_receptive_field, check_up_block
from .nb04 import check_depth_loss, check_flat_wall, check_steepness
from .nb05 import check_interval, check_report, check_scale_free, check_side
from .nb06 import check_gradients, check_rate, check_share, check_time, check_write
from .nb07 import check_break, check_cure, check_distance, check_order
from .verdict import tally

__all__ = [
    "check_threshold", "check_z_depth", "check_split",  # notebook 01
    "check_size", "check_iou", "check_bce",  # notebook 02
    "check_layers", "check_receptive_field", "check_parameters", "check_inflation", "check_up_block",  # notebook 03
    "check_flat_wall", "check_steepness", "check_depth_loss",  # notebook 04
    "check_side", "check_report", "check_interval", "check_scale_free",  # notebook 05
    "check_rate", "check_time", "check_share", "check_write", "check_gradients",  # notebook 06
    "check_distance", "check_break", "check_order", "check_cure",  # notebook 07
    "tally",
]  # fmt: skip
