"""What is said above a table of one experiment: split, labels, people, model, lengths, seeds, device. Needs no JAX."""

from typing import Any

from har_jax.report import families, provenance, published
from har_jax.report.groups import Group
from har_jax.report.section import span


def caption(group: Group, own: dict[str, Any], *, beside: bool) -> list[str]:
  protocol = group.experiment['protocol']
  lines = [_SPLIT[group.split]]
  if own:
    told = '; '.join(f'{name} {families.short(value)}' for name, value in own.items())
    lines.append(f'Not the only experiment of this split and label budget; what sets this one apart: {told}.')
  lines += [
    f'Labels: {_labels(protocol["label_budget"])}. Normalized on {_NORMALISED[protocol["normalize"]]}. '
    f'Classes: {protocol["classes"]}.',
    *(_of_target(group, target) for target in group.targets),
    _model(group),
    f'Seeds: {", ".join(map(str, group.seeds))}. {_FIGURES}',
    *_missing(group),
    f'Device: {provenance.machines(group.every_run)}. Versions: {provenance.versions(group.every_run)}.',
  ]
  if beside:
    lines.append(
      f'Published: {published.SOURCE}; split by window, their own windows and classes, one figure each.'
      + ('' if group.split == published.SPLIT else ' Not comparable with this split; see a table by window.')
    )
  return lines


_SPLIT = {
  'subject': 'Split by subject: nobody is in two parts.',
  'official': 'Split by subject, tested on those that the archive itself sets apart: nobody is in two parts.',
  'window': (
    'Split by window, so optimistic: neighboring windows overlap by half and land on both sides of the split.'
  ),
}
_FIGURES = (
  'Figures are fractions of one: mean ± sample standard deviation over seeds, no deviation where n=1. A seed '
  'draws its own split, so methods are compared by the difference in points, which is paired by seed. A mean '
  'of targets counts each target once.'
)
_NORMALISED = {'train': 'the train part', 'dataset': 'the whole dataset, test part included'}


def _labels(budget: str) -> str:
  number, per_class, _ = budget.partition('/class')
  return f'{number} a class in each of train and validation' if per_class else f'{budget} of all windows'


def _of_target(group: Group, target: str) -> str:
  told = [run['data'] for run in group.of_target(target)]
  return (
    f'{target} ({", ".join(sorted({data["position"] for data in told}))}): '
    f'{span((len(data["classes"]) for data in told), "{}")} classes; '
    f'{span((data["windows"]["train"] for data in told), "{:,}")} labeled windows to train and '
    f'{span((data["windows"]["validation"] for data in told), "{:,}")} to validate on; tested on '
    f'{span((data["windows"]["test"] for data in told), "{:,}")} windows of '
    f'{span((len(data["subjects"]["test"]) for data in told), "{}")} subjects; '
    f'pretrained on {", ".join(group.sources[target])}.'
  )


def _model(group: Group) -> str:
  told = f'Model: {families.model(group.experiment["model"])}'
  if {'lora', 'qlora'}.intersection(group.methods):
    told += f'; adapters of {families.adapters(group.experiment["lora"])}'
  protocol = group.experiment['protocol']
  more = ''.join(
    f', then {steps:,} steps {what}'
    for steps, what in (
      (protocol['continued_pretraining_steps'], 'on the target’s own train part, labels unseen'),
      (
        protocol['contrastive_steps'],
        'that tell what follows a window in its recording from other recordings’ windows',
      ),
      (protocol['supervised_pretraining_steps'], 'that tell its sources’ activities apart by their labels'),
    )
    if steps
  )
  again = (
    f', made {protocol["self_training"] + 1} times: each end labels windows, its target’s and its sources’, for the next'
    if protocol['self_training']
    else ''
  )
  shifted = (
    f' Tested on {protocol["tta_shifts"]} shifts of a window, averaged.' if protocol['tta_shifts'] > 1 else ''
  )
  return f'{told}. Pretraining: {_length(group, "pretrain")}{more}. Fine-tuning: {_length(group, "finetune")}{again}.{shifted}'


def _length(group: Group, part: str) -> str:
  training = group.experiment[part]
  capped = f', {training["max_steps"]:,} steps at most' if training['max_steps'] else ''
  patience = (
    f', ended after {training["patience"]} validations without gain, the best kept'
    if training['patience']
    else ''
  )
  turned = f', windows turned by some {training["rotation"]:g}°' if training['rotation'] else ''
  return f'{training["epochs"]:g} epochs{capped}{patience}{turned}'


def _missing(group: Group) -> list[str]:
  lacking = [
    f'{target} {method} {"all" if (target, method) not in group.runs else ", ".join(map(str, seeds))}'
    for target in group.targets
    for method in group.methods
    if (seeds := [seed for seed in group.seeds if seed not in group.runs.get((target, method), {})])
  ]
  return [f'Seeds not run: {"; ".join(lacking)}.'] if lacking else []
