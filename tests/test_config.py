"""Knobs check themselves and survive JSON."""

import dataclasses
import json
from typing import Any

import pytest

from har_jax import config, config_fields
from har_jax.errors import UserError


@pytest.mark.parametrize('preset', config.PRESETS)
def test_an_experiment_survives_json(preset: str):
  experiment = config.PRESETS[preset]()
  text = json.dumps(config_fields.to_json(experiment))
  assert config_fields.from_json(config.Experiment, json.loads(text)) == experiment
  assert hash(config_fields.from_json(config.Experiment, json.loads(text))) == hash(experiment)


def test_a_later_knob_is_told_only_where_it_is_turned():
  plain, turned = config.Protocol(), config.Protocol(continued_pretraining_steps=5)
  assert 'continued_pretraining_steps' not in config_fields.to_json(plain)
  assert config_fields.to_json(turned) == config_fields.to_json(plain) | {'continued_pretraining_steps': 5}
  for each in (plain, turned):
    assert config_fields.from_json(config.Protocol, config_fields.to_json(each)) == each


def test_what_json_leaves_out_is_filled_in():
  told = config_fields.to_json(config.Experiment(finetune=config.Training(rotation_std_deg=5.0)))
  filled = config.filled(told)
  assert (filled['finetune']['rotation'], filled['pretrain']['rotation']) == (5.0, 0.0)
  later = {
    'continued_pretraining_steps': 0,
    'contrastive_steps': 0,
    'supervised_pretraining_steps': 0,
    'self_training': 0,
    'tta_shifts': 1,
  }
  assert filled['protocol'] == told['protocol'] | later
  assert config.filled(filled) == filled
  assert config_fields.from_json(config.Experiment, filled) == config_fields.from_json(
    config.Experiment, told
  )


def test_every_field_has_help_a_check_and_its_rule_in_words():
  for cls in (config.Model, config.Lora, config.Protocol, config.Training):
    for field in dataclasses.fields(cls):
      assert {'help', 'holds', 'rule'} <= field.metadata.keys()


@pytest.mark.parametrize(
  ('cls', 'given', 'says'),
  [
    (config.Model, {'width': 0}, 'model width is 0; it must be at least 1'),
    (config.Model, {'mask': 1.0}, 'model mask is 1.0'),
    (config.Model, {'streams': 3}, '1 or 2'),
    (config.Model, {'patch': 24}, 'patch must divide the window of 128'),
    (config.Model, {'heads': 5}, 'width must be a multiple of heads'),
    (config.Model, {'heads': 3, 'streams': 2}, 'heads must be a multiple of streams'),
    (config.Model, {'streams': 2, 'descriptors': True}, 'of both sensors at once; given streams 2'),
    (config.Model, {'mask': 0.01}, 'hides 0 of 16 tokens'),
    (config.Model, {'mask': 0.99}, 'hides 16 of 16 tokens'),
    (config.Model, {'head': ()}, 'one width or more'),
    (config.Model, {'head': (64, 0)}, 'model head'),
    (config.Lora, {'rank': 0}, 'at least 1'),
    (config.Lora, {'alpha': 0.0}, 'positive'),
    (config.Lora, {'targets': ()}, 'at least one'),
    (config.Protocol, {'split': 'random'}, 'one of subject, window'),
    (config.Protocol, {'test_fraction': 0.5, 'validation_fraction': 0.5}, 'leave nothing to train on'),
    (config.Protocol, {'labels': '0.8'}, 'more than the 0.7'),
    (config.Protocol, {'labels': '0/class'}, '10/class'),
    (config.Protocol, {'labels': '10/classes'}, '10/class'),
    (config.Protocol, {'labels': 'ten'}, '10/class'),
    (config.Protocol, {'labels': 'nan'}, '10/class'),
    (config.Protocol, {'labels': '0'}, '10/class'),
    (config.Protocol, {'continued_pretraining_steps': -1}, 'not negative'),
    (config.Protocol, {'self_training': -1}, 'not negative'),
    (config.Protocol, {'tta_shifts': 0}, 'at least 1'),
    (config.Training, {'epochs': 0.0}, 'positive'),
    (config.Training, {'learning_rate': float('nan')}, 'not negative'),
    (config.Training, {'batch': 0}, 'at least 1'),
    (config.Training, {'warmup': 1.0}, 'without, 1'),
  ],
)
def test_a_knob_out_of_range_says_what_holds(cls: type, given: dict[str, Any], says: str):
  with pytest.raises(UserError) as caught:
    cls(**given)
  assert says in str(caught.value)


def test_any_width_that_the_heads_divide_will_do():
  assert config.Model(width=18, num_heads=6, streams=2).width == 18  # two halves of 9, three heads of 3 each


def test_an_unknown_entry_is_named_with_the_known_ones():
  with pytest.raises(UserError, match='model knows no depth; it has patch, deviations'):
    config_fields.from_json(config.Experiment, {'model': {'depth': 3}})


@pytest.mark.parametrize(('text', 'budget'), [('0.7', 0.7), ('0.01', 0.01), ('10/class', 10), ('1/class', 1)])
def test_a_label_budget_is_a_share_or_a_number_a_class(text: str, budget: float | int):
  read = config.Protocol(label_budget=text).budget
  assert read == budget
  assert type(read) is type(budget)


def test_tokens_and_hidden_ones():
  assert (config.Model().tokens, config.Model().hidden) == (16, 12)
