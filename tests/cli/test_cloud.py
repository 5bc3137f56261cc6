"""Job specs for clusters: valid for their engines, with flags that the commands have."""

import math
import os
import pathlib
import re
import shlex
import subprocess
from typing import Any

import pytest
import yaml

from har_jax.cli import main, training
from har_jax.config import Experiment

_ROOT = pathlib.Path(__file__).parents[2]
_CLOUD = _ROOT / 'launch' / 'cloud'
_SPECS = ('sky_gpu.yaml', 'sky_tpu.yaml', 'gke_tpu.yaml', 'slurm_gpu.sh')
_SKY = tuple(name for name in _SPECS if name.startswith('sky'))


def _text(name: str) -> str:
  return (_CLOUD / name).read_text()


def _yaml(name: str) -> dict[str, Any]:
  return yaml.safe_load(_text(name))


def _job() -> tuple[dict[str, Any], dict[str, Any]]:
  """The job of the JobSet, and its pod."""
  (replicated,) = _yaml('gke_tpu.yaml')['spec']['replicatedJobs']
  return replicated, replicated['template']['spec']['template']['spec']


def _command(name: str) -> list[str]:
  """The script that a spec runs and its arguments."""
  if name == 'gke_tpu.yaml':
    words = _job()[1]['containers'][0]['command']
  else:
    text = _yaml(name)['run'] if name in _SKY else _text(name)
    (line,) = re.findall(r'^[^#\n]*launch/.*', text.replace('\\\n', ' '), re.MULTILINE)
    words = shlex.split(line)
  return words[next(index for index, word in enumerate(words) if word.startswith('launch/')) :]


def _parse(script: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
  """The flags that the arguments set, with hyperparameters checked. Flagfiles are real."""
  monkeypatch.chdir(_ROOT)
  module = main.load(pathlib.Path(script).stem)
  try:
    module.FLAGS([script, *arguments])
    if 'preset' in module.FLAGS:
      training.read_experiment(module.FLAGS)
    return {name: module.FLAGS[name].value for name in module.FLAGS if module.FLAGS[name].present}
  finally:
    module.FLAGS.unparse_flags()


def test_every_spec_is_tested():
  assert {path.name for path in _CLOUD.iterdir()} == {*_SPECS, 'Dockerfile'}


@pytest.mark.parametrize('name', _SPECS)
def test_a_spec_runs_lodo_with_flags_that_it_has(name, monkeypatch):
  script, *arguments = _command(name)
  assert script == 'launch/lodo.py'
  parsed = _parse(script, arguments, monkeypatch)
  assert parsed['pretrain_max_steps'] == 700  # from real.flags
  assert re.fullmatch(r'\$[({]?BUCKET[)}]?/windows', parsed['windows'])
  assert re.fullmatch(r'\$[({]?BUCKET[)}]?/runs/real', parsed['out'])
  assert '$' in parsed['lodo_shard']
  assert parsed['progress'] is False
  assert ('distributed' in parsed) is (name != 'sky_gpu.yaml')


@pytest.mark.parametrize('name', _SPECS)
def test_a_spec_opens_with_its_command_and_what_to_edit(name, monkeypatch):
  lines = _text(name).removeprefix('#!/bin/bash\n').splitlines()
  block = lines[: next(index for index, line in enumerate(lines) if not line.startswith('#'))]
  assert f' launch/cloud/{name}' in ' '.join(block[1:3])
  text = ' '.join(line.removeprefix('#').strip() for line in block)
  assert 'Edit: ' in text
  (prepare,) = re.findall(r'`(launch/prepare\.py [^`]*)`', text)
  script, *arguments = shlex.split(prepare)
  assert _parse(script, arguments, monkeypatch)['archive_path'] == '<folder>'


@pytest.mark.parametrize('name', _SPECS)
def test_an_end_by_sigterm_is_no_failure(name):
  text = _text(name)
  assert '143' in text
  assert 'my-bucket' in text or '$BUCKET' in text


# --- SkyPilot


@pytest.mark.parametrize('name', _SKY)
@pytest.mark.parametrize('part', ['setup', 'run'])
def test_skypilots_commands_are_valid_bash(name, part):
  subprocess.run(['bash', '-n', '-c', _yaml(name)[part]], check=True)


# --- GKE

# Fields of JobSet v1alpha2: their type, or the fields below them. A list has one kind of entry.
_JOBSET: dict[str, Any] = {
  'apiVersion': str,
  'kind': str,
  'metadata': {'name': str, 'annotations': dict},
  'spec': {
    'failurePolicy': {
      'maxRestarts': int,
      'rules': [{'name': str, 'action': str, 'onJobFailureReasons': [str], 'targetReplicatedJobs': [str]}],
    },
    'replicatedJobs': [{'name': str, 'replicas': int, 'template': {'metadata': dict, 'spec': dict}}],
  },
}


def _check_schema(value: Any, schema: Any, path: str = '') -> None:
  if isinstance(schema, dict):
    assert isinstance(value, dict), path
    assert value.keys() <= schema.keys(), f'{path}: {value.keys() - schema.keys()}'
    for name, entry in value.items():
      _check_schema(entry, schema[name], f'{path}.{name}')
  elif isinstance(schema, list):
    assert isinstance(value, list), path
    for index, entry in enumerate(value):
      _check_schema(entry, schema[0], f'{path}[{index}]')
  else:
    assert type(value) is schema, f'{path} is {value!r}'


def test_the_jobset_has_only_fields_of_its_schema():
  jobset = _yaml('gke_tpu.yaml')
  _check_schema(jobset, _JOBSET)
  assert (jobset['apiVersion'], jobset['kind']) == ('jobset.x-k8s.io/v1alpha2', 'JobSet')
  assert re.fullmatch('[a-z][a-z0-9-]*', jobset['metadata']['name'])
  (rule,) = jobset['spec']['failurePolicy']['rules']
  assert rule['action'] == 'RestartJobSetAndIgnoreMaxRestarts'
  assert rule['onJobFailureReasons'] == ['PodFailurePolicy']  # the Job's reason under its policy


def test_kubernetes_accepts_the_job_of_the_jobset():
  kubernetes_validate = pytest.importorskip('kubernetes_validate')
  replicated, _ = _job()
  job = {'apiVersion': 'batch/v1', 'kind': 'Job', 'metadata': {'name': replicated['name']}}
  latest = kubernetes_validate.latest_version()
  kubernetes_validate.validate(job | replicated['template'], latest, strict=True)
  misspelt = {'spec': replicated['template']['spec'] | {'backofLimit': 0}}
  with pytest.raises(kubernetes_validate.ValidationError):
    kubernetes_validate.validate(job | misspelt, latest, strict=True)


def test_the_number_of_hosts_fits_the_topology():
  replicated, pod = _job()
  job, (container,) = replicated['template']['spec'], pod['containers']
  sides = pod['nodeSelector']['cloud.google.com/gke-tpu-topology'].split('x')
  chips = container['resources']['limits']['google.com/tpu']
  assert job['parallelism'] == job['completions'] == math.prod(map(int, sides)) // chips
  assert container['resources']['requests'] == container['resources']['limits']
  assert job['backoffLimit'] == 0
  assert pod['restartPolicy'] == 'Never'  # a podFailurePolicy needs it
  assert {entry['name'] for entry in container['env']} == {'BUCKET', 'SHARD'}
  _check_divides_the_batches(job['parallelism'] * chips)


def _check_divides_the_batches(devices: int) -> None:
  experiment = Experiment()  # real.flags has no batch sizes
  assert experiment.finetune.batch % devices == experiment.pretrain.batch % devices == 0


def test_the_chips_of_skypilots_slice_divide_the_batches():
  accelerators = _yaml('sky_tpu.yaml')['resources']['accelerators']
  _check_divides_the_batches(int(accelerators.removeprefix('tpu-v5litepod-')))


# --- Slurm

_SBATCH = {
  'job-name': r'\w+',
  'array': r'0-\d+',  # shards count from 0
  'nodes': r'\d+',
  'ntasks-per-node': r'\d+',
  'gpus-per-node': r'\d+',
  'cpus-per-task': r'\d+',
  'time': r'\d\d:\d\d:\d\d',
  'signal': r'TERM@\d+',  # to the tasks; with the prefix B: only to this script
  'requeue': '',
  'open-mode': 'append',  # otherwise a requeued job loses its log
  'output': r'[\w%-]+\.log',
}


@pytest.mark.linux
def test_the_slurm_script_is_bash_with_options_of_sbatch():
  subprocess.run(['bash', '-n', str(_CLOUD / 'slurm_gpu.sh')], check=True)
  lines = _text('slurm_gpu.sh').splitlines()
  options = dict(re.findall(r'^#SBATCH --([\w-]+)=?(.*)$', _text('slurm_gpu.sh'), re.MULTILINE))
  assert len(options) == sum(line.startswith('#SBATCH') for line in lines)
  for name, value in options.items():
    assert re.fullmatch(_SBATCH[name], value), name
  # sbatch stops reading options at the first command.
  first = next(index for index, line in enumerate(lines) if line and not line.startswith('#'))
  assert not [line for line in lines[first:] if line.startswith('#SBATCH')]
  # JAX assigns one GPU to each task of a node.
  assert options['ntasks-per-node'] == options['gpus-per-node']
  _check_divides_the_batches(int(options['nodes']) * int(options['ntasks-per-node']))


@pytest.mark.linux
@pytest.mark.parametrize(('code', 'is_requeued'), [(143, True), (0, False), (1, False)])
def test_the_slurm_script_requeues_itself_after_sigterm(tmp_path, code, is_requeued):
  for name, ends in (('srun', code), ('scontrol', 0)):
    (tmp_path / name).write_text(f'#!/bin/bash\necho {name} "$@" >> {tmp_path}/called\nexit {ends}\n')
    (tmp_path / name).chmod(0o755)
  slurm = {'SLURM_ARRAY_TASK_ID': '1', 'SLURM_ARRAY_TASK_COUNT': '4', 'SLURM_JOB_ID': '17'}
  environment = os.environ | slurm | {'BUCKET': 'gs://b', 'PATH': f'{tmp_path}:{os.environ["PATH"]}'}
  done = subprocess.run(['bash', str(_CLOUD / 'slurm_gpu.sh')], env=environment)
  assert done.returncode == code
  called = (tmp_path / 'called').read_text().splitlines()
  assert '--windows=gs://b/windows --out=gs://b/runs/real --lodo_shard=1/4 --distributed' in called[0]
  assert called[1:] == (['scontrol requeue 17'] if is_requeued else [])
