"""Fits the adapter of a recognizer: by a fine-tuning method, or a baseline."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from har_jax import config, files, methods
from har_jax.baselines import BASELINES
from har_jax.datasets.batches import Batch
from har_jax.files import baseline_adapter
from har_jax.methods import Settings
from har_jax.recognizer import fitting, temperature
from har_jax.recognizer.parameters import AUTO, LIMITS, Parameters, in_card
from har_jax.train import output_layer
from har_jax.variables import Variables

if TYPE_CHECKING:
  from har_jax.recognizer.budget import Plan


def fit(
  parameters: Parameters,
  base: files.Base | None,
  experiment: config.Experiment,
  parts: fitting.Parts,
  entries: Mapping[str, Any],
) -> tuple[files.Adapter, 'Plan | None']:
  """The adapter, and the plan that 'auto' made.

  base, experiment: of `parameters.check`. entries: of the card, `classes` and `signals`.
  Raises UserError where no method fits into the limits, and where a limit is not positive.
  """
  if parameters.method in BASELINES:
    return _fit_baseline(parameters, base, experiment, parts, entries), None
  fit_of = fitting.fits(parameters, base, experiment, entries['classes'], parts)
  if parameters.method == AUTO:
    from har_jax.recognizer import budget

    limits = budget.Budget(**{name: getattr(parameters, name) for name in LIMITS})
    labels = float(np.median(np.bincount(parts.train['label'])))
    fit, plan = budget.choose(fit_of, limits, max_steps=int(parameters.max_steps), labels=labels)
  else:
    fit, plan = fit_of(parameters.method), None
  fitted = fit.run()
  card = {**fit.card(fitted, in_card(parameters)), **entries}
  adapter = files.make_adapter(base, fitted.variables, card)
  adapter = adapter.with_card(temperature=temperature.expect(adapter.card))
  return adapter, None if plan is None else plan.ended()


def refit(
  base: files.Base | None,
  adapter: files.Adapter,
  adapted: Variables,
  windows: Batch,
) -> files.Adapter:
  """The adapter with its linear head, or its baseline, fitted to these windows; nothing else changes.

  A head that was trained in steps stays as it is. adapted: all variables of the adapter's model.
  """
  if not adapter.is_fitted_at_once:
    return adapter
  adapter = adapter.with_card(corrections=0)  # they were in the head
  if adapter.baseline is not None:
    leaves = baseline_adapter.leaves_of(windows['signal'], windows['label'])
    return files.make_adapter(base, leaves, adapter.card)
  objective = adapter.objective
  prior = fitting.prior_of(base, adapter.card.classes) if adapter.method.fits_head else None
  adapted = adapted | output_layer.fit(objective, adapted, windows, prior)
  is_frozen = not any(map(methods.in_encoder, adapter.variables))
  means = fitting.class_entries(objective, adapted, windows, is_frozen=is_frozen)
  return files.make_adapter(base, adapted, adapter.with_card(**means).card)


def _fit_baseline(
  parameters: Parameters,
  base: files.Base | None,
  experiment: config.Experiment,
  parts: fitting.Parts,
  entries: Mapping[str, Any],
) -> files.Adapter:
  card = {
    **entries,
    **files.method_entries(parameters.method, Settings.from_experiment(experiment), experiment.model),
    **parts.in_card,
    'training': in_card(parameters),
    'fitted_with': baseline_adapter.versions(parameters.method),
  }
  leaves = baseline_adapter.leaves_of(parts.train['signal'], parts.train['label'])
  adapter = files.make_adapter(base, leaves, card)
  metrics = None
  if parts.are_apart:
    logits = baseline_adapter.logits(adapter.baseline, parts.validation['signal'])
    metrics = fitting.scores(adapter.objective.score(logits, parts.validation))
  return adapter.with_card(metrics={'validation': metrics})
