"""The serving rules, compiled. They are the functions that the scheduler calls too (``autoscale/serving_rules.py``)."""

from autoscale import serving_rules
from autoscale.simulator.event_engine.jit import compiled

learned_batch_s = compiled(serving_rules.learned_batch_s)
is_refused = compiled(serving_rules.is_refused)
shows_overload = compiled(serving_rules.shows_overload)
least_left_s = compiled(serving_rules.least_left_s)
batch_share_s = compiled(serving_rules.batch_share_s)
stage_left_s = compiled(serving_rules.stage_left_s)
call_until_s = compiled(serving_rules.call_until_s)
size_bucket = compiled(serving_rules.size_bucket)
in_proportion_s = compiled(serving_rules.in_proportion_s)
