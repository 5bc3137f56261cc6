"""From a recording and its labels to an adapter, and a timeline of another recording."""

import json
import pathlib
import re
import subprocess
import sys
import types
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import recordings
import scipy
import tiny_flags
from in_process import refuse, succeed

from har_jax import files
from har_jax.cli import predict
from har_jax.errors import UserError
from har_jax.recognizer.recognizer import Recognizer
from har_jax.recordings import read as read_recording
from har_jax.timeline import movement

pytestmark = pytest.mark.slow
_ROOT = pathlib.Path(__file__).parents[2]


def _summary(folder: pathlib.Path) -> dict:
  return json.loads((folder / 'summary.json').read_text())


def _predict(folder: pathlib.Path, out: pathlib.Path, *flags: str, recording: str = '') -> tuple[str, str]:
  where = (recording or f'{folder}/day.csv', f'--adapter={folder}/adapter', f'--out={out}')
  return succeed('predict', *where, *flags, '--noprogress')


@pytest.fixture(scope='module')
def predicted(folder, adapted) -> tuple[str, str]:
  """What `har-jax predict` prints while it makes the folder `day`."""
  return _predict(folder, folder / 'day', '--not_worn_min=1.5', '--unknown_below=0.4')


@pytest.mark.parametrize(
  ('compared', 'words'), [(True, 'was compared with the walking'), (False, 'Hardly any walking'), (None, '')]
)
def test_it_says_whether_windows_were_compared_with_walking(capsys, compared, words):
  summary = {
    'recorded_minutes': 2.0, 'bouts': 1, 'rules': 'as they are', 'movement': {}, 'days': [],
    'compared_with_walking': compared,
  }  # fmt: skip
  minutes = pd.DataFrame({'minutes': {'walking': 2.0}})
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr('har_jax.timeline.movement.sentences', lambda movement: [])
    predict._print_summary(types.SimpleNamespace(summary=summary, minutes=minutes))
  out = capsys.readouterr().out
  assert '1 bout: as they are.' in out
  assert ('walking in this recording' in out, 'Hardly any' in out) == (compared is True, compared is False)
  assert words in out


# --- adapt


def test_adapt_prints_what_it_inferred_and_its_validation(adapted):
  out, err = adapted
  assert 'Column time_ms is in ms' in out
  assert '3 labels' in out
  assert 'warning: ' in err  # few windows
  rows = {
    line.split('  ')[0]: line.split()[-3:] for line in out.splitlines() if line[:3] in ('lyi', 'sit', 'wal')
  }
  # 30 windows each: the last 6 are held out, and the one before overlaps them.
  assert [row[:2] for row in rows.values()] == [['23', '6']] * 3
  assert 'Validation on 18 windows, the last 20% of each activity' in out
  assert 'They come from the same recordings' in out
  assert float(out.split('macro-F1 ')[1][:5]) > 0.8


def test_adapt_compares_baselines_on_the_held_out_windows(folder, adapted):
  rows = {line.split()[0]: line.split()[1:] for line in adapted[0].splitlines() if len(line.split()) == 4}
  card = json.loads((folder / 'adapter' / 'adapter.json').read_text())
  figures = card['metrics']['comparison']
  assert list(figures) == ['side', 'forest', 'rocket']
  for model, measured in figures.items():
    assert rows[model][:2] == [f'{measured[name]:.3f}' for name in ('macro_f1', 'accuracy')]
  assert card['metrics']['validation']['accuracy'] == pytest.approx(figures['side']['accuracy'])
  assert 'the best baseline' in adapted[0] or 'The baseline' in adapted[0]


def test_a_baseline_is_an_adapter_that_predict_reads_and_export_refuses(folder, adapted, tmp_path):
  where = (folder / 'my.csv', folder / 'labels.csv', f'--base={folder}/base', f'--out={tmp_path}/forest')
  out, _ = succeed('adapt', *where, '--method=forest', '--noprogress')
  card = json.loads((tmp_path / 'forest' / 'adapter.json').read_text())
  assert list(card['metrics']['comparison']) == ['forest', 'rocket']
  assert 'the best other baseline' in out
  assert 'the baseline was fitted anew, to all 90 labeled windows' in out
  side = json.loads((folder / 'adapter' / 'adapter.json').read_text())['metrics']['comparison']['forest']
  assert card['metrics']['comparison']['forest']['accuracy'] == side['accuracy']
  day = (f'{folder}/day.csv', f'--adapter={tmp_path}/forest')
  succeed('predict', *day, f'--out={tmp_path}/day', '--noprogress')
  assert _summary(tmp_path / 'day')['adapter']['method'] == 'forest'
  windows = recordings.rows(tmp_path / 'day' / 'windows.csv')
  assert {row['activity'] for row in windows} == {'lying', 'sitting, upright', 'walking'}
  error = refuse('predict', *day, f'--out={tmp_path}/no', '--refusal_rate=0.1', is_silent=False)
  assert 'forest is a baseline' in error
  error = refuse('export', tmp_path / 'forest', '--format=stablehlo', f'--out={tmp_path}/no')
  assert 'Adapt with the method linear' in error
  assert not (tmp_path / 'no').exists()


def test_the_last_of_several_recordings_is_held_out_and_said_to_be_apart(folder, tmp_path):
  (tmp_path / 'people').mkdir()
  for name in ('ana', 'ben'):
    recordings.recording(tmp_path / 'people' / f'{name}.csv', recordings.LABELED)
    recordings.labels(tmp_path / 'people' / f'{name}.labels.csv', recordings.LABELED)
  flags = (f'--base={folder}/base', '--method=probe', *tiny_flags.ADAPT, f'--out={tmp_path}/adapter')
  out, _ = succeed('adapt', tmp_path / 'people', '--validation_fraction=0.5', *flags)
  assert 'Validation on 90 windows, the last 50% of each activity' in out
  assert 'They are of files without a window to train on' in out


def test_an_adapter_keeps_its_temperature_and_its_base(folder, adapted):
  assert {path.name for path in (folder / 'adapter').iterdir()} == {
    *('adapter.json', 'adapter.safetensors', 'base.json', 'base.safetensors')
  }
  recognizer = Recognizer.load(folder / 'adapter')
  assert recognizer.classes_.tolist() == ['lying', 'sitting, upright', 'walking']
  card = recognizer.adapter_.card
  assert card.temperature not in (0.0, 1.0)
  assert f'Temperature {card.temperature:.2f}' in adapted[0]
  assert len(card.set_scores) == 18
  assert 'column `set` of `har-jax predict`' in adapted[0]
  assert 'the output layer was fitted anew, to all 90 labeled windows' in adapted[0]
  assert (card.rank, card.alpha) == (4, 8.0)
  assert card.split.windows == {'train': 69, 'validation': 18}


def test_suggested_stretches_are_labels_once_their_activities_are_written(folder, adapted, tmp_path):
  arguments = (f'--recording={folder}/my.csv', f'--base={folder}/adapter', '--suggest=6')
  out, _ = succeed('adapt', *arguments, f'--out={tmp_path}/out')
  assert out.splitlines()[-1] == f'{tmp_path}/out/suggestions.csv'
  table = pd.read_csv(tmp_path / 'out' / 'suggestions.csv')
  assert table['activity'].isna().all()
  truth = np.repeat([name for name, _ in recordings.LABELED], 40)
  table['activity'] = truth[((table['start_s'] + table['end_s']) / 2).astype(int)]
  assert set(table['activity']) == set(truth)
  table.to_csv(tmp_path / 'labels.csv', index=False)
  (read,) = read_recording(folder / 'my.csv', labels=tmp_path / 'labels.csv').recordings
  # Neighbors of one activity are joined.
  assert {round(span.start_s, 2) for span in read.spans} <= set(table['start_s'])
  labeled_s = sum(span.stop_s - span.start_s for span in read.spans)
  assert labeled_s == pytest.approx((table['end_s'] - table['start_s']).sum(), abs=1e-3)
  succeed('adapt', *arguments, f'--labels={tmp_path}/labels.csv', f'--out={tmp_path}/more')
  others = pd.read_csv(tmp_path / 'more' / 'suggestions.csv')
  middles_s = (table['start_s'] + table['end_s']) / 2
  assert not any(row.start_s < middle_s < row.end_s for row in others.itertuples() for middle_s in middles_s)


def test_adapt_uses_the_bundled_base_by_default(folder, tmp_path, monkeypatch):
  base = files.load_base(folder / 'base')
  monkeypatch.setattr(files, 'bundled_base', lambda: base)  # the real one is larger
  arguments = (f'--recording={folder}/my.csv', f'--labels={folder}/labels.csv', f'--out={tmp_path}/adapter')
  out, _ = succeed('adapt', *arguments, *tiny_flags.ADAPT, '--method=linear')
  assert 'adapter.json' in out
  card = json.loads((tmp_path / 'adapter' / 'adapter.json').read_text())
  assert card['base'] == base.checksum


def test_a_recording_without_a_gyroscope_is_adapted_to(folder, adapted, tmp_path):
  recordings.recording(tmp_path / 'my.csv', recordings.LABELED, sensors='ax ay az')
  labeled = [*recordings.LABELED[:2], ('sitting, upright', 20.0)]
  recordings.labels(tmp_path / 'my.labels.csv', labeled)  # the default of --labels
  flags = (f'--base={folder}/adapter', '--validation_fraction=0', '--method=probe', *tiny_flags.ADAPT)
  # The base of an adapter.
  out, err = succeed('adapt', tmp_path / 'my.csv', f'--out={tmp_path}/adapter', *flags)
  assert 'No validation' in out
  assert 'gyroscope' in err
  _, err = _predict(tmp_path, tmp_path / 'day', recording=f'{folder}/day.csv')
  assert 'gyroscope' in err  # that of the day is ignored
  assert recordings.rows(tmp_path / 'day' / 'bouts.csv')[0]['activity'] == 'walking'


def test_a_full_disk_leaves_no_partial_adapter(folder, adapted, tmp_path, monkeypatch):
  def full(*_: object) -> None:
    raise UserError('cannot write: No space left on device')

  monkeypatch.setattr(files, 'save_adapter', full)
  files_and_base = (folder / 'my.csv', folder / 'labels.csv', f'--base={folder}/base')
  flags = (f'--out={tmp_path}/adapter', *tiny_flags.ADAPT, '--method=linear')
  assert 'No space left' in refuse('adapt', *files_and_base, *flags, is_silent=False)
  assert not list(tmp_path.iterdir())


# --- predict


def test_a_recording_is_predicted_without_an_adapter(folder, tmp_path):
  out, err = succeed('predict', f'--recording={folder}/day.csv', f'--out={tmp_path}/day')
  first, *_, last = re.findall(r'recognizing: [^\r\n]+', err)
  assert ('compiling' in first, 'compiling' in last) == (True, False)
  assert 'the bundled base recognizes walking, running, upstairs' in out
  assert 'on people held out from its datasets' in out
  summary = _summary(tmp_path / 'day')
  assert summary['adapter']['method'] == 'probe'
  assert sum(summary['minutes'].values()) > 0.9 * summary['recorded_minutes']
  assert sum(line.startswith('unknown ') for line in out.splitlines()) == 1
  assert {name for name in summary['minutes'] if 'stairs' in name} == {'upstairs', 'downstairs'}


def test_a_prediction_imports_no_large_package_for_one_function(tmp_path):
  time_s = np.arange(1500) / 50  # at another rate, SciPy's signal package resamples
  # Without walking: SciPy's signal package filters the steps.
  table = np.column_stack([time_s, recordings.signal('sitting', 30, 0)])
  names = 'time_s,ax,ay,az,gx,gy,gz'
  np.savetxt(tmp_path / 'day.csv', table, delimiter=',', header=names, comments='', fmt='%.6f')
  late = ['signal', 'interpolate', 'optimize', 'stats']
  if tuple(map(int, scipy.__version__.split('.')[:2])) >= (1, 17):  # earlier ones import it themselves
    late.append('sparse')
  names = {*(f'scipy.{name}' for name in late), 'sklearn', 'aeon', 'grain', 'orbax', 'matplotlib.pyplot'}
  code = f"""
import sys
from har_jax.cli import main
assert main.main(['predict', {str(tmp_path / 'day.csv')!r}, {f'--out={tmp_path}/out'!r}]) == 0
print(sorted(set({sorted(names)}).intersection(sys.modules)))
"""
  done = subprocess.run([sys.executable, '-c', code], cwd=_ROOT, capture_output=True, text=True, check=True)
  assert done.stdout.splitlines()[-1] == '[]'


def test_a_day_is_divided_into_bouts(folder, predicted):
  out, _ = predicted
  rows = recordings.rows(folder / 'day' / 'bouts.csv')
  assert [row['activity'] for row in rows] == ['walking', 'lying', 'not_worn', 'walking']
  for row, (start, end) in zip(rows, [(0, 60), (80, 140), (140, 260), (260, 320)], strict=True):
    assert abs(float(row['start_s']) - start) < 2
    assert abs(float(row['end_s']) - end) < 2
  assert rows[0]['start'] == '2026-05-28T20:26:40.000+00:00'
  assert all(0.4 <= float(row['confidence']) <= 1 for row in rows if row['activity'] != 'not_worn')
  assert '4 bouts: ' in out
  said = movement.sentences(_summary(folder / 'day')['movement'])
  assert said
  assert '\n'.join(said) in out
  assert out.splitlines()[-1] == str(folder / 'day' / 'summary.json')


def test_the_timeline_has_a_legend_and_hours(folder, predicted):
  root = ElementTree.parse(folder / 'day' / 'timeline.svg').getroot()
  text = ' '.join(element.text or '' for element in root.iter('{http://www.w3.org/2000/svg}text'))
  for words in ('walking, 2.0 min', 'not worn, 2.0 min', '20:27', '2026-05-28', 'time of day (UTC)'):
    assert words in text


def test_predictions_are_scored_by_labels(folder, adapted, tmp_path):
  parts = [('walking', 30.0), ('lying', 30.0)]
  recordings.recording(tmp_path / 'other.csv', parts)
  recordings.labels(tmp_path / 'truth.csv', parts)
  labels = f'--labels={tmp_path}/truth.csv'
  out, _ = _predict(folder, tmp_path / 'scored', labels, recording=f'{tmp_path}/other.csv')
  score = _summary(tmp_path / 'scored')['score']
  assert f'Macro-F1 {score["macro_f1"]:.3f}, accuracy {score["accuracy"]:.3f}, 43 windows.' in out
  # Of 45 windows, one every 1.28 s, two contain both activities.
  assert score['windows'] == 43 == sum(map(sum, score['confusion']))
  correct = sum(row[index] for index, row in enumerate(score['confusion']))
  assert score['accuracy'] == pytest.approx(correct / 43)
  assert score['accuracy'] > 0.9


# --- mistakes


@pytest.mark.parametrize(
  ('command', 'arguments', 'named'),
  [
    ('adapt', ['--recording={}/none.csv'], 'none.csv'),
    ('adapt', ['--base={}/base'], '--recording='),
    ('adapt', ['--recording={}/my.csv', '--labels={}/none.csv'], 'none.csv'),
    ('adapt', ['--recording={}/day.csv'], '--labels='),
    ('adapt', ['--base={}', '--recording={}/my.csv', '--labels={}/labels.csv'], 'nor a base (base.json'),
    ('adapt', ['--recording={}/my.csv', '--out={}/base'], 'holds files already'),
    *(
      ('adapt', ['--recording={}/my.csv', flag], f'{flag}: give role')
      for flag in ('--columns=time', '--columns==ax')
    ),
    ('adapt', ['--recording={}/my.csv', '--columns=ax=x,ay=y,ax =z'], '--columns name ax twice'),
    ('adapt', ['--recording={}/my.csv', '--validation_fraction=1'], '--validation_fraction is 1.0'),
    ('predict', ['--recording={}/day.csv', '--adapter={}/base'], 'base without a head'),
    ('predict', ['--recording={}/day.csv', '--adapter={}/none'], 'no such folder'),
    ('predict', ['--recording={}/day.csv', '--adapter={}/adapter', '--unknown_below=60'], '60.0'),
    ('predict', ['--recording={}/day.csv', '--adapter={}/adapter', '--frame=iphone'], "'iphone'"),
    ('export', ['--adapter={}/base'], 'base without a head'),
    ('export', ['--format=onnx,onnx'], '--format=onnx,onnx: give each once'),
    ('export', ['--precision=int8,int8'], '--precision=int8,int8: give each once'),
    ('lodo', ['--sources=hapt,hapt'], '--sources=hapt,hapt: give each once'),
    ('lodo', ['--seeds=0,1,0'], '--seeds=0,1,0: give each once'),
  ],
)
def test_a_mistake_is_one_line_and_leaves_no_file(command, arguments, named, folder, adapted, tmp_path):
  words = [word.format(folder) for word in arguments]
  out = [] if any(word.startswith('--out') for word in words) else [f'--out={tmp_path}/out']
  assert named in refuse(command, *words, *out, is_silent=False)
  assert not list(tmp_path.iterdir())
