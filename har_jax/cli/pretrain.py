"""Pretrain a base on prepared windows, for adaptation.

har-jax pretrain --flagfile=base --windows=windows --out=runs/base
har-jax pretrain --windows=windows --sources=hapt,wisdm --four_bits --out=runs/base
"""

from har_jax.cli import command, training
from har_jax.cli.command import HELP
from har_jax.errors import Stopped

COMMON = 'windows sources out four_bits preset pretrain_max_steps supervised_pretraining_steps progress'
FLAGS, _define = command.new_flags()
_SOURCES = _define('sources', None, f'{HELP["sources"]} (default: all under --windows)', kind=list)
_OUT = _define('out', 'runs/base', 'folder for the base; an unfinished pretraining there is resumed')
_FOUR_BITS = _define(
  'four_bits',
  False,
  'store the matrices of the stem and of the encoder blocks in NF4, in a seventh of the bytes',
)
_start = training.define_training(
  FLAGS,
  unused=(
    *('lora', 'methods', 'nf4_double', 'nf4_kernel'),
    *('split', 'test_fraction', 'label_budget', 'classes', 'self_training', 'tta_shifts'),
    *('continued_pretraining_steps', 'finetune_epochs', 'finetune_max_steps', 'finetune_num_evals'),
    *('finetune_patience', 'finetune_encoder_learning_rate'),
  ),
)


def main() -> None:
  datasets, experiment, options = _start()
  from har_jax import files, storage
  from har_jax.datasets.folds import Sources
  from har_jax.experiments import stages as staging
  from har_jax.experiments import supervised_head
  from har_jax.recognizer import recording_head
  from har_jax.train import mesh

  out = storage.place(_OUT.value)
  sources = Sources(datasets, tuple(_SOURCES.value or datasets.names), experiment.protocol, is_varied=True)
  datasets.check_windowing(sources.names, experiment.model.windowing)
  names = ', '.join(sources.names)
  stages = [staging.masked_pretraining(out / 'pretrain', experiment, sources, f'pretraining on {names}')]
  if experiment.protocol.supervised_pretraining_steps:
    supervised_head.check_activities(sources.classes)  # now, not after hours
    title = f'activities of {names}'
    stages.append(staging.supervised_pretraining(out / 'supervised', experiment, sources, title))
  staging.run_stages(stages, options)
  if options.stop():
    raise Stopped(f'{out}: stopped and saved before the base is written')
  if not mesh.is_main_process():
    return
  base = files.load_base(stages[-1].folder)
  if base.classes:
    base = supervised_head.with_general_head(base, *sources.labeled_windows())
  base.card.signals = sources.summarize(supervised_head.NAMES)
  base = files.save_base(out, base.variables, base.card, four_bits=_FOUR_BITS.value)
  if base.classes and (head := supervised_head.fit_recording_head(sources, seed=0)):
    recording_head.save(out, head, base=base.checksum)
  pretraining = base.card.pretraining
  measured = ', '.join(
    f'{name.replace("_f1", "-F1").replace("_", " ")} {value:.3f}'
    for name, value in pretraining.items()
    if 'validation_' in name
  )
  print(f'{out / "base.json"}: step {pretraining["steps"]}, {measured}')
