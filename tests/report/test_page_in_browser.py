"""The page in Chromium: no errors, nothing wider than the screen, themes, print. Skipped without one."""

import base64
import contextlib
import itertools
import json
import os
import pathlib
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from page_fixtures import EMBEDDING, RECONSTRUCTION, with_json

from har_jax.report import page

_NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome')
_WEB = pathlib.Path(__file__).parents[2] / 'web'
_TIMEOUT_S = 60  # a busy machine starts a browser slowly

pytestmark = pytest.mark.slow


def _binary() -> str:
  """On the PATH, or the one for the tests of web/."""
  if binary := next(filter(None, map(shutil.which, _NAMES)), None):
    return binary
  found = shutil.which('node') and subprocess.run(
    ['node', 'tests/chromium.js'], cwd=_WEB, capture_output=True, text=True, check=False
  )
  if not found or found.returncode:
    pytest.skip(f'no Chromium: none of {", ".join(_NAMES)} is on the PATH, and `make web` has installed none')
  return found.stdout.strip()


class Chromium:
  """One tab, controlled over pipes (Chrome DevTools Protocol): needs no port and no driver."""

  def __init__(self, binary: str, profile: pathlib.Path):
    read, self._write = os.pipe()
    self._read, write = os.pipe()
    self._log = (profile / 'log').open('wb')
    flags = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--remote-debugging-pipe']
    # It reads from file descriptor 3 and writes to 4.
    script = f'exec "$@" 3<&{read} 4>&{write}'
    self._process = subprocess.Popen(
      ['bash', '-c', script, 'bash', binary, *flags, f'--user-data-dir={profile}', 'about:blank'],
      pass_fds=(read, write),
      stdout=self._log,
      stderr=self._log,
    )
    os.close(read)
    os.close(write)
    self._numbers, self._buffer, self._session = itertools.count(1), b'', ''
    self.events: list[dict[str, Any]] = []
    target = self.call('Target.createTarget', url='about:blank')['targetId']
    self._session = self.call('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
    for domain in ('Page', 'Runtime', 'Log', 'Network'):
      self.call(f'{domain}.enable')

  def call(self, method: str, **parameters: Any) -> dict[str, Any]:
    number = next(self._numbers)
    session = {'sessionId': self._session} if self._session else {}
    request = {'id': number, 'method': method, 'params': parameters} | session
    os.write(self._write, json.dumps(request).encode() + b'\0')
    while True:
      answer = self._next()
      if answer.get('id') == number:
        assert 'error' not in answer, answer
        return answer['result']
      self.events.append(answer)

  def wait(self, method: str) -> None:
    while not any(event.get('method') == method for event in self.events):
      self.events.append(self._next())

  def _next(self) -> dict[str, Any]:
    end = time.monotonic() + _TIMEOUT_S
    while b'\0' not in self._buffer:
      ready, _, _ = select.select([self._read], [], [], max(0, end - time.monotonic()))
      assert ready, 'the browser is silent'
      chunk = os.read(self._read, 1 << 20)
      assert chunk, 'the browser is gone'
      self._buffer += chunk
    message, _, self._buffer = self._buffer.partition(b'\0')
    return json.loads(message)

  def value(self, expression: str) -> Any:
    return self.call('Runtime.evaluate', expression=expression, returnByValue=True)['result'].get('value')

  def open(self, path: pathlib.Path) -> None:
    self.events.clear()
    self.call('Page.navigate', url=path.as_uri())
    self.wait('Page.loadEventFired')

  def size(self, width: int, height: int, *, mobile: bool = False) -> None:
    self.call(
      'Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1, mobile=mobile
    )

  def press(self, key: str, code: int) -> None:
    text = {'text': '\r'} if key == 'Enter' else {}
    for kind in ('keyDown', 'keyUp'):
      self.call('Input.dispatchKeyEvent', type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

  def screenshot(self, path: pathlib.Path) -> None:
    shot = self.call('Page.captureScreenshot', captureBeyondViewport=True, format='png')
    path.write_bytes(base64.b64decode(shot['data']))

  def close(self) -> None:
    with contextlib.suppress(OSError, AssertionError):
      self._session = ''
      self.call('Browser.close')
    os.close(self._write)
    os.close(self._read)
    try:
      self._process.wait(timeout=10)
    except subprocess.TimeoutExpired:
      self._process.kill()
      self._process.wait()
    self._log.close()


@pytest.fixture(scope='module')
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
  browser = Chromium(_binary(), tmp_path_factory.mktemp('profile'))
  yield browser
  browser.close()


@pytest.fixture(scope='module')
def page_file(result, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
  """A page with every part, and with long and short names."""
  settings = [
    *(
      {'method': method, 'split': split}
      for split in ('subject', 'window')
      for method in ('full', 'lora', 'qlora')
    ),
    *({'method': 'lora', 'lora_rank': rank} for rank in (8, 16)),
    *(
      {'method': method, 'label_budget': budget} for method in ('full', 'lora') for budget in ('0.3', '0.05')
    ),
  ]
  found = [
    result(
      target='hapt',
      seed=seed,
      macro_f1=0.95 - 0.02 * seed - 0.01 * number,
      confusion=(np.eye(9, dtype=int) * 95 + 1).tolist(),
      **each,
    )
    for number, each in enumerate(settings)
    for seed in (0, 1)
  ]
  for each in found:
    each['data']['classes'] = [f'walking {index} with a long name' for index in range(9)]
  file = tmp_path_factory.mktemp('page') / 'report.html'
  html = page.html(
    with_json(found),
    folder='runs/a-folder-with-a-rather-long-name-that-nobody-would-break/and-another-one-below-it',
    embeddings=[EMBEDDING],
    reconstructions=[RECONSTRUCTION],
  )
  file.write_text(html, encoding='utf-8')
  return file


@pytest.fixture
def opened(chromium: Chromium, page_file: pathlib.Path) -> Chromium:
  chromium.size(1280, 900)
  chromium.call('Emulation.setEmulatedMedia', media='', features=[])
  chromium.open(page_file)
  return chromium


def test_the_page_has_no_error_and_requests_no_other_file(opened: Chromium):
  opened.value('document.querySelectorAll("details").forEach((each) => { each.open = true; })')
  errors = [
    event
    for event in opened.events
    if event.get('method') == 'Runtime.exceptionThrown'
    or (event.get('method') == 'Log.entryAdded' and event['params']['entry']['level'] in ('error', 'warning'))
    or (event.get('method') == 'Runtime.consoleAPICalled' and event['params']['type'] in ('error', 'assert'))
  ]
  assert not errors
  requested = [
    e['params']['request']['url'] for e in opened.events if e.get('method') == 'Network.requestWillBeSent'
  ]
  assert [url.rpartition('/')[2] for url in requested if not url.startswith('data:')] == ['report.html']


@pytest.mark.parametrize('width', [320, 390, 768, 1280])
def test_the_page_is_no_wider_than_the_screen(width: int, opened: Chromium, tmp_path: pathlib.Path):
  opened.size(width, 844, mobile=width < 768)
  opened.value('document.querySelectorAll("details").forEach((each) => { each.open = true; })')
  wide = opened.value(
    '[...document.body.querySelectorAll("*")]'
    '.filter((each) => !each.closest(".scroll *, svg, caption, .skip"))'
    f'.filter((each) => each.getBoundingClientRect().right > {width} + 1)'
    '.map((each) => each.tagName + " " + each.className).join("; ")'
  )
  assert wide == ''
  assert opened.value('document.documentElement.scrollWidth') <= width
  opened.screenshot(tmp_path / f'{width}.png')


def test_the_keyboard_skips_to_the_results_and_switches_the_theme(opened: Chromium, tmp_path: pathlib.Path):
  background = 'getComputedStyle(document.body).backgroundColor'
  ink = 'getComputedStyle(document.querySelector("svg text")).fill'
  opened.press('Tab', 9)
  assert opened.value('document.activeElement.hash') == '#main'
  opened.press('Tab', 9)
  assert opened.value('document.activeElement.id') == 'theme'
  light = opened.value(background), opened.value(ink)
  opened.screenshot(tmp_path / 'light.png')
  opened.press('Enter', 13)
  dark = opened.value(background), opened.value(ink)
  assert light != dark
  assert dark == ('rgb(20, 23, 26)', 'rgb(230, 232, 234)')
  assert opened.value('document.activeElement.textContent') == 'Light'
  opened.screenshot(tmp_path / 'dark.png')
  opened.press('Enter', 13)
  assert (opened.value(background), opened.value(ink)) == light


def test_the_page_follows_the_color_scheme_of_the_system(opened: Chromium):
  for scheme, background in (('dark', 'rgb(20, 23, 26)'), ('light', 'rgb(255, 255, 255)')):
    opened.call('Emulation.setEmulatedMedia', features=[{'name': 'prefers-color-scheme', 'value': scheme}])
    assert opened.value('getComputedStyle(document.body).backgroundColor') == background


def test_print_is_black_on_white_with_all_details_open(opened: Chromium, tmp_path: pathlib.Path):
  opened.value('document.documentElement.style.colorScheme = "dark"')
  opened.call('Emulation.setEmulatedMedia', media='print')
  assert opened.value('getComputedStyle(document.body).backgroundColor') == 'rgb(255, 255, 255)'
  assert opened.value('getComputedStyle(document.body).color') == 'rgb(0, 0, 0)'
  assert opened.value('getComputedStyle(document.getElementById("theme")).display') == 'none'
  opened.call('Emulation.setEmulatedMedia', media='')
  printed = opened.call('Page.printToPDF', preferCSSPageSize=True)
  (tmp_path / 'print.pdf').write_bytes(base64.b64decode(printed['data']))
  assert (tmp_path / 'print.pdf').read_bytes().startswith(b'%PDF')
  assert opened.value('[...document.querySelectorAll("details")].every((each) => each.open)')
