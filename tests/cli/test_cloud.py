"""Job specs: what their engines read of them, and that each flag in them is one that the script has."""

import json
import math
import os
import pathlib
import re
import shlex
import subprocess
import sys
import warnings
from typing import Any

import pytest
import yaml

from har_jax.config import Experiment

_ROOT = pathlib.Path(__file__).parents[2]
_CLOUD = _ROOT / 'launch' / 'cloud'
_SPECS = ('sky_gpu.yaml', 'sky_tpu.yaml', 'gke_tpu.yaml', 'slurm_gpu.sh')
_SKY = tuple(name for name in _SPECS if name.startswith('sky'))


def _text(name: str) -> str:
  return (_CLOUD / name).read_text()


def _pod() -> dict[str, Any]:
  (replicated,) = yaml.safe_load(_text('gke_tpu.yaml'))['spec']['replicatedJobs']
  return replicated['template']['spec']['template']['spec']


def _shell(name: str) -> str:
  return yaml.safe_load(_text(name))['run'] if name.endswith('.yaml') else _text(name)


def _command(name: str) -> list[str]:
  """The script that a spec runs, from the repository's root, and its arguments."""
  if name == 'gke_tpu.yaml':
    words = _pod()['containers'][0]['command']
  else:
    lines = _shell(name).replace('\\\n', ' ').splitlines()
    (line,) = (line for line in lines if 'launch/' in line and not line.startswith('#'))
    words = shlex.split(line)
  start = next(at for at, word in enumerate(words) if word.startswith('launch/'))
  return words[start:]


def _read(script: str, arguments: list[str]) -> dict[str, str]:
  """The arguments as the script reads them, knobs checked, in a process of its own. Flagfiles are real too."""
  code = """
import importlib, json, sys
from absl import flags
script = importlib.import_module(sys.argv[1])
flags.FLAGS(sys.argv[1:])
if hasattr(script, '_experiment'):
  script._experiment()
print(json.dumps({name: str(flags.FLAGS[name].value) for name in flags.FLAGS if flags.FLAGS[name].present}))
"""
  module = script.removesuffix('.py').replace('/', '.')
  command = [sys.executable, '-c', code, module, *arguments]
  done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout)


def test_every_spec_is_tested():
  assert {path.name for path in _CLOUD.iterdir()} == {*_SPECS, 'Dockerfile'}


@pytest.mark.parametrize('name', _SPECS)
def test_what_a_spec_runs_is_the_script_with_flags_that_it_has(name: str):
  script, *arguments = _command(name)
  assert script == 'launch/lodo.py'
  given = _read(script, arguments)
  assert given['model_patch_size'] == '16'  # of real.flags
  assert re.fullmatch(r'\$[({]?BUCKET[)}]?/windows', given['windows'])
  assert re.fullmatch(r'\$[({]?BUCKET[)}]?/results/real', given['out'])
  assert '$' in given['lodo_shard']
  assert given['progress'] == 'False'
  assert ('distributed' in given) is (name != 'sky_gpu.yaml')


def test_a_flag_that_the_script_lacks_would_be_seen():
  script, *arguments = _command('gke_tpu.yaml')
  with pytest.raises(AssertionError, match='lodo_shart'):
    _read(script, [*arguments, '--lodo_shart=0/1'])


@pytest.mark.parametrize('name', _SPECS)
def test_a_spec_opens_with_what_it_is_and_the_command_that_starts_it(name: str):
  lines = _text(name).removeprefix('#!/bin/bash\n').splitlines()
  block = lines[: next(at for at, line in enumerate(lines) if not line.startswith('# '))]
  assert f' launch/cloud/{name}' in block[1] + block[2]
  text = ' '.join(line.removeprefix('#').strip() for line in block)
  assert 'Edit: ' in text
  (prepare,) = re.findall(r'`(launch/prepare\.py [^`]*)`', text)
  script, *arguments = shlex.split(prepare)
  _read(script, arguments)


@pytest.mark.parametrize('name', _SPECS)
def test_a_told_end_is_no_failure(name: str):
  text = _text(name)
  assert '143' in text
  assert 'my-bucket' in text or '$BUCKET' in text


# --- SkyPilot


@pytest.mark.parametrize('name', _SKY)
def test_skypilots_own_parser_takes_the_spec(
  name: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  monkeypatch.setenv('HOME', str(tmp_path))  # it keeps a database there
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # its dependencies' own
    sky = pytest.importorskip('sky', reason='pip install skypilot: it is heavy, and so not among the extras')
    task = sky.Task.from_yaml(str(_CLOUD / name))
  assert task.envs.keys() == {'BUCKET', 'SHARD'}
  for resources in task.resources:
    assert resources.use_spot
    assert resources.job_recovery['recover_on_exit_codes'] == [143]


@pytest.mark.parametrize('name', _SKY)
@pytest.mark.parametrize('part', ['setup', 'run'])
def test_skypilots_shell_is_shell(name: str, part: str):
  subprocess.run(['bash', '-n', '-c', yaml.safe_load(_text(name))[part]], check=True)


# --- GKE

# JobSet's own fields, v1alpha2: each with its type, or the fields below it. A list has one kind of entry.
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


def _fits(given: Any, schema: Any, at: str = '') -> None:
  if isinstance(schema, dict):
    assert isinstance(given, dict), at
    assert given.keys() <= schema.keys(), f'{at}: {given.keys() - schema.keys()}'
    for name, value in given.items():
      _fits(value, schema[name], f'{at}.{name}')
  elif isinstance(schema, list):
    assert isinstance(given, list), at
    for number, value in enumerate(given):
      _fits(value, schema[0], f'{at}[{number}]')
  else:
    assert type(given) is schema, f'{at} is {given!r}'


def test_the_jobset_has_the_fields_of_one():
  given = yaml.safe_load(_text('gke_tpu.yaml'))
  _fits(given, _JOBSET)
  assert (given['apiVersion'], given['kind']) == ('jobset.x-k8s.io/v1alpha2', 'JobSet')
  assert re.fullmatch('[a-z][a-z0-9-]*', given['metadata']['name'])
  (rule,) = given['spec']['failurePolicy']['rules']
  assert rule['action'] == 'RestartJobSetAndIgnoreMaxRestarts'
  assert rule['onJobFailureReasons'] == ['PodFailurePolicy']  # which the Job's own policy gives as its reason


def test_kubernetes_takes_the_job_of_the_jobset():
  kubernetes_validate = pytest.importorskip('kubernetes_validate')
  (replicated,) = yaml.safe_load(_text('gke_tpu.yaml'))['spec']['replicatedJobs']
  job = {'apiVersion': 'batch/v1', 'kind': 'Job', 'metadata': {'name': replicated['name']}}
  kubernetes_validate.validate(
    job | replicated['template'], kubernetes_validate.latest_version(), strict=True
  )
  misspelt = {'spec': replicated['template']['spec'] | {'backofLimit': 0}}
  with pytest.raises(kubernetes_validate.ValidationError):
    kubernetes_validate.validate(job | misspelt, kubernetes_validate.latest_version(), strict=True)


def test_the_hosts_of_the_slice_are_as_many_as_its_topology_has():
  (replicated,) = yaml.safe_load(_text('gke_tpu.yaml'))['spec']['replicatedJobs']
  job, (container,) = replicated['template']['spec'], _pod()['containers']
  sides = _pod()['nodeSelector']['cloud.google.com/gke-tpu-topology'].split('x')
  chips = container['resources']['limits']['google.com/tpu']
  assert job['parallelism'] == job['completions'] == math.prod(map(int, sides)) // chips
  assert container['resources']['requests'] == container['resources']['limits']
  assert job['backoffLimit'] == 0
  assert _pod()['restartPolicy'] == 'Never'  # or Kubernetes refuses a podFailurePolicy
  assert {entry['name'] for entry in container['env']} == {'BUCKET', 'SHARD'}
  _divides_the_batches(job['parallelism'] * chips)


def _divides_the_batches(devices: int) -> None:
  experiment = Experiment()  # real.flags leaves the batches as they are
  assert experiment.finetune.batch % devices == experiment.pretrain.batch % devices == 0


def test_the_slice_of_skypilot_divides_the_batches():
  accelerators = yaml.safe_load(_text('sky_tpu.yaml'))['resources']['accelerators']
  _divides_the_batches(int(accelerators.removeprefix('tpu-v5litepod-')))


# --- Slurm

_SBATCH = {
  'job-name': r'\w+',
  'array': r'0-\d+',  # from 0, as shards are counted
  'nodes': r'\d+',
  'ntasks-per-node': r'\d+',
  'gpus-per-node': r'\d+',
  'cpus-per-task': r'\d+',
  'time': r'\d\d:\d\d:\d\d',
  'signal': r'TERM@\d+',  # to the tasks; with B: before it, to this script alone
  'requeue': '',
  'open-mode': 'append',  # or a job that is queued again loses its log
  'output': r'[\w%-]+\.log',
}


def test_the_slurm_script_is_shell_with_options_that_sbatch_has():
  subprocess.run(['bash', '-n', str(_CLOUD / 'slurm_gpu.sh')], check=True)
  lines = _text('slurm_gpu.sh').splitlines()
  options = dict(re.findall(r'^#SBATCH --([\w-]+)=?(.*)$', _text('slurm_gpu.sh'), re.MULTILINE))
  assert len(options) == sum(line.startswith('#SBATCH') for line in lines)
  for name, value in options.items():
    assert re.fullmatch(_SBATCH[name], value), name
  # sbatch stops reading options at the first command.
  first = next(at for at, line in enumerate(lines) if line and not line.startswith('#'))
  assert not [line for line in lines[first:] if line.startswith('#SBATCH')]
  # JAX gives the tasks of a node a GPU each, by their number there.
  assert options['ntasks-per-node'] == options['gpus-per-node']
  _divides_the_batches(int(options['nodes']) * int(options['ntasks-per-node']))


@pytest.mark.parametrize(('ends', 'queued'), [(143, True), (0, False), (1, False)])
def test_the_slurm_script_queues_itself_again_once_told_to_end(
  tmp_path: pathlib.Path, ends: int, queued: bool
):
  for name, code in (('srun', ends), ('scontrol', 0)):
    (tmp_path / name).write_text(f'#!/bin/bash\necho {name} "$@" >> {tmp_path}/called\nexit {code}\n')
    (tmp_path / name).chmod(0o755)
  slurm = {
    'SLURM_ARRAY_TASK_ID': '1',
    'SLURM_ARRAY_TASK_COUNT': '4',
    'SLURM_JOB_ID': '17',
    'BUCKET': 'gs://b',
  }
  environment = os.environ | slurm | {'PATH': f'{tmp_path}:{os.environ["PATH"]}'}
  done = subprocess.run(['bash', str(_CLOUD / 'slurm_gpu.sh')], env=environment)
  assert done.returncode == ends
  called = (tmp_path / 'called').read_text().splitlines()
  assert '--windows=gs://b/windows --out=gs://b/results/real --lodo_shard=1/4 --distributed' in called[0]
  assert called[1:] == (['scontrol requeue 17'] if queued else [])
