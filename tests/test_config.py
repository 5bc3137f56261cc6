"""Hyperparameters check themselves and survive JSON."""

import dataclasses
import json
import re

import pytest

from har_jax import config, config_fields, records
from har_jax.errors import UserError
from har_jax.federated.federation import Federation


def _read(entries: dict) -> config.Experiment:
  return records.check(entries, config.Experiment, 'a file', to_do='write it again')


@pytest.mark.parametrize('preset', config.PRESETS)
def test_an_experiment_survives_json(preset):
  experiment = config.PRESETS[preset]()
  again = _read(json.loads(json.dumps(config_fields.to_json(experiment))))
  assert again == experiment
  assert hash(again) == hash(experiment)


def test_json_holds_every_field():
  plain = config_fields.to_json(config.Experiment())
  assert plain.keys() == {part.name for part in dataclasses.fields(config.Experiment)}
  assert plain['protocol']['self_training'] == 0
  assert plain['finetune'].keys() == {field.name for field in dataclasses.fields(config.Training)}


def test_every_field_has_help_a_check_and_its_rule_in_words():
  for cls in (config.Model, config.Lora, config.Precision, config.Protocol, config.Training):
    for field in dataclasses.fields(cls):
      assert {'help', 'is_valid', 'rule'} <= field.metadata.keys()


@pytest.mark.parametrize(
  ('cls', 'given', 'says'),
  [
    (config.Model, {'width': 0}, 'model width is 0; it must be at least 1'),
    (config.Model, {'mask_ratio': 1.0}, 'model mask_ratio is 1.0; it must be in [0, 1)'),
    (config.Model, {'streams': 3}, '1 or 2'),
    (config.Model, {'patch_size': 24}, 'patch_size must divide the window of 128'),
    (config.Model, {'window_samples': 100, 'patch_size': 16}, 'patch_size must divide the window of 100'),
    (config.Model, {'window_samples': 10_001}, 'at most 10,000'),
    (config.Model, {'rate_hz': 0}, 'at least 1'),
    (config.Model, {'num_heads': 5}, 'width must be a multiple of num_heads'),
    (config.Model, {'num_heads': 3, 'streams': 2}, 'num_heads must be a multiple of streams'),
    (
      config.Model,
      {'streams': 2, 'invariant_features': True},
      'add --nomodel_invariant_features or --model_streams=1; given patch_size 8',
    ),
    (config.Model, {'stem': (8,) * 3, 'streams': 2}, 'stem of 3 widths needs patch_size 8 and streams 1'),
    (config.Model, {'stem': (8,) * 2}, 'stem of 2 widths needs patch_size 4 and streams 1'),
    (config.Model, {'window_statistics': True}, 'which a stem takes; give a stem, or --nomodel_window_stat'),
    (config.Model, {'mask_ratio': 0.01}, 'hides 0 of 16 tokens'),
    (config.Model, {'mask_ratio': 0.99}, 'hides 16 of 16 tokens'),
    (config.Model, {'head': (64,) * 101}, '0 to 100 widths'),
    (config.Model, {'head': (64, 0)}, 'model head'),
    (config.Lora, {'rank': 0}, 'at least 1'),
    (config.Lora, {'alpha': 0.0}, 'a number over 0'),
    (config.Lora, {'alpha': float('inf')}, 'a number over 0'),
    (config.Lora, {'targets': ()}, 'one entry or more'),
    (config.Protocol, {'split': 'random'}, 'one of subject, window'),
    (config.Protocol, {'test_fraction': 0.0}, 'between 0 and 1'),
    (config.Protocol, {'test_fraction': 0.5, 'validation_fraction': 0.5}, 'leave nothing to train on'),
    (config.Protocol, {'label_budget': '0.8'}, 'more than the 0.7'),
    (config.Protocol, {'label_budget': '0/class'}, '10/class'),
    (config.Protocol, {'label_budget': '10/classes'}, '10/class'),
    (config.Protocol, {'label_budget': 'ten'}, '10/class'),
    (config.Protocol, {'label_budget': 'nan'}, '10/class'),
    (config.Protocol, {'label_budget': '0'}, '10/class'),
    (config.Protocol, {'continued_pretraining_steps': -1}, 'not negative'),
    (config.Protocol, {'self_training': -1}, 'not negative'),
    (config.Protocol, {'tta_shifts': 0}, 'at least 1'),
    (config.Training, {'epochs': 0.0}, 'a number over 0'),
    (config.Training, {'learning_rate': float('nan')}, 'not negative'),
    (config.Training, {'batch': 0}, 'at least 1'),
    (config.Training, {'warmup': 1.0}, 'in [0, 1)'),
    (Federation, {'classes': ('a', 'b'), 'batch': 1_001}, 'at most 1,000'),
    (Federation, {'classes': ('a', 'b'), 'seed': 2**32}, 'in [0, 2³²)'),
  ],
)
def test_a_value_out_of_range_is_refused_with_its_rule(cls, given, says):
  with pytest.raises(UserError) as caught:
    cls(**given)
  assert says in str(caught.value)


@pytest.mark.parametrize(
  ('stem', 'normalize', 'flag'),
  [((), 'none', 'train'), ((8,) * 3, 'train', 'none'), ((8,) * 3, 'dataset', 'none')],
)
def test_a_stem_takes_physical_units_and_no_other_model_does(stem, normalize, flag):
  model = config.Model(stem=stem)
  with pytest.raises(UserError, match=rf'{re.escape(str(list(stem)))} and normalize {normalize}, .*={flag}$'):
    config.Experiment(model=model, protocol=config.Protocol(normalize=normalize))
  assert config.Experiment(model=model, protocol=config.Protocol(normalize=flag)).model == model


@pytest.mark.parametrize('part', ['pretrain', 'finetune'])
def test_errors_of_devices_need_physical_units(part):
  training, model = config.Training(device_errors=1.0), config.Model()
  with pytest.raises(UserError, match=f'{part} device_errors are .* normalize train, add --{part}_device_er'):
    config.Experiment(model=model, protocol=config.Protocol(), **{part: training})
  assert config.Experiment(**{part: training})


def test_any_width_that_the_heads_divide_is_valid():
  assert config.Model(width=18, num_heads=6, streams=2).width == 18  # two halves of 9, three heads of 3 each


def test_an_unknown_entry_is_refused_with_the_known_ones():
  with pytest.raises(UserError, match='model has no breadth; its fields are patch_size, stem, log_std'):
    _read({'model': {'breadth': 3}})


@pytest.mark.parametrize(('text', 'budget'), [('0.7', 0.7), ('0.01', 0.01), ('10/class', 10), ('1/class', 1)])
def test_a_label_budget_is_a_fraction_or_a_number_per_class(text, budget):
  read = config.Protocol(label_budget=text).budget
  assert read == budget
  assert type(read) is type(budget)


def test_a_budget_of_all_that_is_not_tested_on_is_possible_despite_rounding():
  protocol = config.Protocol(test_fraction=0.9, validation_fraction=0.05, label_budget='0.1')
  assert protocol.budget > 1 - protocol.test_fraction  # by a rounding error


def test_several_hyperparameters_of_a_part_are_replaced():
  changes = {('finetune', 'batch'): 9, ('finetune', 'epochs'): 2.0, ('lora', 'rank'): 3}
  changed = config_fields.replace(config.Experiment(), changes)
  assert (changed.finetune.batch, changed.finetune.epochs, changed.lora.rank) == (9, 2.0, 3)
  assert changed.finetune.patience == config.Experiment().finetune.patience


def test_rows_of_results_without_a_hyperparameter_have_these_values():
  training = {
    **{'epochs': 50.0, 'max_steps': 0, 'batch': 64, 'learning_rate': 1e-3, 'encoder_learning_rate': 5e-4},
    **{'weight_decay': 0.01, 'warmup': 0.1, 'grad_clip_norm': 1.0, 'circular_shift': False},
    **{'rotation_std_deg': 0.0, 'amplitude_std': 0.0, 'time_warp_std': 0.0, 'device_errors': 0.0},
    **{'num_evals': 10, 'patience': 0},
  }
  augmented = {'circular_shift': True, 'rotation_std_deg': 10.0, 'amplitude_std': 0.15, 'time_warp_std': 0.1}
  experiment = config.Experiment()
  assert dataclasses.asdict(experiment.pretrain) == training | {'epochs': 20.0, 'batch': 256}
  assert dataclasses.asdict(experiment.finetune) == training | augmented | {'patience': 4}


def test_the_preset_of_the_paper_has_its_adapters_head_and_protocol():
  paper = config.Experiment.paper()
  assert (paper.lora.rank, paper.lora.alpha, paper.model.dropout) == (32, 32.0, 0.5)
  assert (paper.protocol.split, paper.protocol.normalize, paper.finetune.epochs) == ('window', 'dataset', 50)
  assert paper.finetune.patience == 4  # it stops early


def test_the_scale_of_adapters_is_alpha_over_the_rank_or_its_root():
  scales = [config.Lora(rank=16, alpha=8.0, scaling=scaling).scale for scaling in ('rank', 'root')]
  assert scales == [0.5, 2.0]


def test_runs_of_any_length_share_a_step():
  lengths = [{'epochs': 2.0}, {'max_steps': 9}, {'num_evals': 3}, {'patience': 5}]
  step = config.Training().fixed_length(1)
  assert {config.Training(**length).fixed_length(1) for length in lengths} == {step}
  other = {'batch': 9, 'warmup': 0.3, 'weight_decay': 0.5, 'rotation_std_deg': 5.0}
  for name, value in other.items():
    assert getattr(config.Training(**{name: value}).fixed_length(1), name) == value


def test_a_side_encoder_has_half_of_the_stem_and_no_blocks():
  model = config.Model(patch_size=8, stem=(6, 1, 9), log_std=False, side_width=12, depth=3)
  side = model.side
  assert side is not None
  assert (side.stem, side.width, side.depth, side.side) == ((3, 1, 4), 12, 0, None)
  assert side.windowing == model.windowing
  assert config.Model(window_samples=96, rate_hz=20).windowing == config.Windowing(96, 20)


def test_tokens_and_hidden_tokens_are_counted():
  assert (config.Model().tokens, config.Model().hidden) == (16, 12)


def test_no_more_shifts_than_samples():
  model = config.Model(patch_size=8, stem=(8,) * 3, log_std=False, window_samples=64)
  protocol = config.Protocol(normalize='none', tta_shifts=65)
  with pytest.raises(UserError, match='tta_shifts is 65; it must be at most 64, the samples of a window'):
    config.Experiment(model=model, protocol=protocol)
