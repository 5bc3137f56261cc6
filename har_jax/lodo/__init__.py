"""Leave-One-Dataset-Out: pretrain without the target, adapt to it, test; one result file a run.

<out>/<target>/pretrain/                                      shared by all methods, splits, budgets and seeds; or
<pretrained>/<target>/pretrain/                               shared by several experiments too
<out>/<target>/continued/<split>/seed<k>/                     shared by all methods and budgets; with --unlabelled_steps
<out>/<target>/contrasted/<split>/seed<k>/                    likewise; with --contrast_steps
<out>/<target>/labelled/<split>/seed<k>/                      likewise; with --source_label_steps
<out>/<target>/<method>/<split>/labels-<budget>/seed<k>.json  a result, and beside it the run's folder,
                                                              in it teacher<n>/ with --self_training

Any number of jobs may work on one --out: a folder is one job's at a time, and the others wait for what it makes.
"""

from har_jax.lodo.pretraining import autoencoder_at, labelled_at, pretrained_encoder
from har_jax.lodo.runs import pretrain, run
from har_jax.lodo.study import Study, available

__all__ = ['Study', 'autoencoder_at', 'available', 'labelled_at', 'pretrain', 'pretrained_encoder', 'run']
