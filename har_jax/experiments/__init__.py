"""Leave-One-Dataset-Out: pretrain without the target, adapt to it, test; one result file per run.

<out>/<target>/pretrain/                                      masked pretraining, for all runs of the target
<pretrained_dir>/<target>/pretrain/                           the same, shared by several experiments
<out>/<target>/<stage>/<split>/seed<k>/                       further stages, for all methods and budgets
<out>/<target>/<method>/<split>/labels-<budget>/seed<k>.json  a result; next to it its run

Any number of jobs may share one --out: one job at a time holds a folder, and the others wait for its result.
"""

from har_jax.experiments.run_spec import RunSpec
from har_jax.experiments.runs import pretrain, run
from har_jax.experiments.stages import TrainOptions
from har_jax.experiments.study import Study

__all__ = ['RunSpec', 'Study', 'TrainOptions', 'pretrain', 'run']
