"""Small datasets, and studies of them, for tests of the protocol."""

import dataclasses
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np

from har_jax import experiments, records, storage
from har_jax.config import DEFAULT_WINDOWING
from har_jax.datasets import batches
from har_jax.datasets import windows as store
from har_jax.datasets.folds import Fold, Sources, TargetWindows
from har_jax.experiments.adaptation import make_result
from har_jax.experiments.stages import run_stages, stages_of
from har_jax.signal import cutting

ACTIVITIES = ('walking', 'sitting', 'lying')
SUBJECTS = 5
EACH = 6  # windows of each activity a subject
METHODS = ('full', 'scratch', 'probe', 'lora', 'qlora')  # of the fixture finished
LORA = 'alpha/lora/subject/labels-0.7/seed0.json'

Study = Callable[..., experiments.Study]  # of the fixture study_of
QUIET = experiments.TrainOptions(progress=False)
ADAPT_ONLY = experiments.TrainOptions(may_train=False, progress=False)


def dataset(name: str, seed: int) -> store.Windows:
  rng = np.random.default_rng(seed)
  time = np.arange(128)[:, None] / 50
  windows = []
  for subject in range(SUBJECTS):
    for number, activity in enumerate((*ACTIVITIES, 'eating_soup')):
      for _ in range(EACH):
        swing = (3 - number) * np.sin(2 * np.pi * (1 + 0.1 * subject) * time + rng.uniform(0, 6, 6))
        gravity = np.array([0, 0, 9.8, 0, 0, 0]) if number < 2 else np.array([9.8, 0, 0, 0, 0, 0])
        signal = (swing + gravity + 0.1 * rng.standard_normal((128, 6))).astype(np.float32)
        windows.append(cutting.Window(signal, activity, f'{name}-{subject}', subject, 0.0))
  return store.gather(
    windows,
    {'archive': name, 'position': 'waist', 'checksum': f'sum of {name}', 'code_version': '0'},
    DEFAULT_WINDOWING,
  )


def run(study: experiments.Study) -> dict[str, dict[str, Any]]:
  """The content of each result file, by its name under `out`."""
  return {
    path.relative_to(study.out).as_posix(): storage.read(path) for path, _ in experiments.run(study, QUIET)
  }


def target_of(study: experiments.Study) -> TargetWindows:
  return Fold(study.datasets, 'alpha', (), study.experiment.protocol, seed=0).target_windows()


def pretraining_of(study: experiments.Study) -> tuple[batches.Batch, batches.Batch]:
  return Sources(study.datasets, ('beta',), study.experiment.protocol).windows()


def spec_of(study: experiments.Study, method: str = 'lora', seed: int = 0) -> experiments.RunSpec:
  (spec,) = dataclasses.replace(study, methods=(method,), seeds=(seed,)).runs
  return spec


def pretrained(study: experiments.Study, seed: int = 0, **options: Any) -> dict[str, np.ndarray]:
  """What a run starts from: the encoder and, after supervised pretraining, its head."""
  stages = stages_of(spec_of(study, seed=seed))
  whole = run_stages(stages, dataclasses.replace(QUIET, **options))
  with_head = stages[-1].name == 'supervised'
  return {
    path: np.asarray(leaf) for path, leaf in whole.items() if with_head or path.startswith('params/encoder/')
  }


def own_pretraining(out: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
  """A `pretrained_dir` of its own, with the masked pretraining of `out`."""
  shutil.copytree(out / 'alpha' / 'pretrain', folder / 'alpha' / 'pretrain')
  return folder


def with_altered(windows: pathlib.Path, folder: pathlib.Path, name: str, subjects: set[str]) -> pathlib.Path:
  """The same windows, with other signals for some subjects of one dataset."""
  shutil.copytree(windows, folder)
  old = store.load(folder / name)
  signals = np.array(old.signals)
  signals[np.isin(np.array(old.meta.subjects)[old.subject], list(subjects))] *= -3
  store.save(dataclasses.replace(old, signals=signals), folder / name)
  return folder


def alter(folder: pathlib.Path) -> None:
  """Writes other windows where windows are."""
  old = store.load(folder)
  store.save(dataclasses.replace(old, signals=old.signals + 1), folder)


def assert_equal(leaves: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
  assert leaves.keys() == expected.keys()
  assert all(np.array_equal(leaves[path], leaf) for path, leaf in expected.items())


def without_seconds(result: Any) -> Any:
  if isinstance(result, dict):
    return {name: without_seconds(value) for name, value in result.items() if name != 'seconds'}
  return [without_seconds(value) for value in result] if isinstance(result, list) else result


def as_record(result: dict[str, Any]) -> records.Result:
  """A result file's content as it is read."""
  return records.check(result, records.Result, 'a result', to_do='run again')


def made_with(spec: experiments.RunSpec, data: TargetWindows, probabilities: np.ndarray) -> records.Result:
  return make_result(
    spec,
    data,
    probabilities,
    collections=None,
    starts_from=None,
    validation=[records.Validation(step=0)],
    step=0,
    parameters=records.Counted(trainable=0, total=0),
    bytes=records.Bytes(),
    seconds={'training': 0.0},
    batch_runs=1,
  )


def always_first(spec: experiments.RunSpec, base: Any, options: Any) -> records.Result:
  data = spec.fold.target_windows()
  return made_with(spec, data, np.tile([1.0, 0.0, 0.0], (len(data.test['label']), 1)))
