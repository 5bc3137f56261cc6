"""Leave-One-Dataset-Out: pretrain without the target, adapt to it, test; one result file a run.

<out>/<target>/pretrain/                                      shared by all methods, splits, budgets and seeds; or
<pretrained>/<target>/pretrain/                               shared by several experiments too
<out>/<target>/continued/<split>/seed<k>/                     shared by all methods and budgets; with --continued_pretraining_steps
<out>/<target>/contrasted/<split>/seed<k>/                    likewise; with --contrastive_steps
<out>/<target>/labeled/<split>/seed<k>/                      likewise; with --supervised_pretraining_steps
<out>/<target>/<method>/<split>/labels-<budget>/seed<k>.json  a result, and beside it the run's folder,
                                                              in it teacher<n>/ with --self_training

Any number of jobs may work on one --out: a folder is one job's at a time, and the others wait for what it makes.
"""

from har_jax.experiments.pretraining import pretrain_mae, pretrain_supervised, pretrained_encoder
from har_jax.experiments.runs import pretrain, run
from har_jax.experiments.study import Study, available

__all__ = [
  'Study',
  'available',
  'pretrain',
  'pretrain_mae',
  'pretrain_supervised',
  'pretrained_encoder',
  'run',
]
