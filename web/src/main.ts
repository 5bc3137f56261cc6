/** The page: sensor → recognizer and recorder → what is shown. */

import { CONTRADICTIONS, DAMAGED, FAILURES, NO_MODEL, NO_ROTATION, NOT_STORED } from './messages';
import { paused, seconds } from './messages';
import { loadModel, type Model } from './model';
import { keepOffline, keepScreenOn, watchBattery } from './phone';
import { connectPocket } from './pocket';
import { lengthS, Recorder } from './recorder';
import { Recognizer, type Answer } from './recognizer';
import { Sensor } from './sensor';
import { forget, keep, restore } from './store';
import { Timeline, UNKNOWN } from './timeline';
import * as view from './view';
import type { Sample } from './windows';

const SPAN_S = 300; // of the timeline
const TRACE_S = 5;
const REFRESH_MS = 250;
const KEEP_SAMPLES = 600; // about ten seconds: what is lost where a phone ends the page
const SILENT_MS = 2000;

const recorder = new Recorder(performance.timeOrigin);
const buttons = new view.LabelButtons(tapLabel);
const trace: Sample[] = [];
let seenMs = 0; // when the last sample came
let hidden: { atMs: number; label: string | undefined } | undefined;
let recognizer: Recognizer | undefined;
let needsRotation = false;

const sensor = new Sensor({
  ready(hasRotation) {
    recorder.hasRotation = hasRotation;
    for (const id of ['now', 'record', 'taps', 'sensors']) view.element(id).hidden = false;
    view.element('intro').hidden = true;
    if (needsRotation && !hasRotation) view.notify(NO_ROTATION);
    void keepScreenOn();
    setInterval(refresh, REFRESH_MS);
  },
  sample(sample) {
    seenMs = performance.now();
    recognizer?.push(sample);
    recorder.push(sample);
    if (recorder.active && recorder.active.rows.length % KEEP_SAMPLES === 0) keepCurrent();
    trace.push(sample);
  },
  fail(failure) {
    view.notify(FAILURES[failure]);
    view.enable('start', true);
  },
});

function setUp(model: Model): void {
  const { classes, input, stream } = model.card;
  const timeline = new Timeline(classes, stream.hop_s);
  const activities = new view.Activities(classes, UNKNOWN);
  const onAnswer = (answer: Answer): void => {
    timeline.push(answer);
    const name = timeline.nameOf(answer);
    const confidence = view.percent(answer.posterior[answer.best]);
    const likeliest = answer.isKnown ? '' : `most likely ${classes[answer.best]}, `;
    view.write('answer', name);
    view.write('confidence', likeliest + confidence);
    activities.show(name, classes, answer.posterior);
    view.warn(answer.contradiction && CONTRADICTIONS[answer.contradiction]);
    activities.showTimeline(timeline.bars(answer.startS - SPAN_S), answer.startS + stream.hop_s);
    view.enable('save-answers', true);
  };
  const onError = (error: unknown): void => view.notify(`The model fails: ${String(error)}`);
  recognizer = new Recognizer(model, () => view.valueOf('threshold') / 100, onAnswer, onError);
  needsRotation = input.rotation === 'used';
  for (const name of classes) if (name !== UNKNOWN) buttons.add(name);
  view.element('save-answers').addEventListener('click', () =>
    view.save('answers.csv', timeline.csv((timeS) => recorder.timeMs(timeS))),
  );
  view.write('model', `${classes.length} activities`);
}

function refresh(): void {
  const latest = trace.at(-1);
  if (!latest) return;
  while (latest.timeS - trace[0].timeS > TRACE_S) trace.shift();
  const isSilent = performance.now() - seenMs > SILENT_MS;
  const lastsS = latest.timeS - trace[0].timeS;
  if (lastsS > 0) view.write('rate', `${isSilent ? 0 : Math.round((trace.length - 1) / lastsS)} Hz`);
  view.showSensors(trace.map(({ values }) => values), recorder.hasRotation);
  if (recorder.active) showRecorded();
}

function tapLabel(label: string): void {
  const wasActive = recorder.active?.label === label;
  view.notify('');
  stopRecording();
  if (!wasActive) recorder.start(label);
  showRecorded();
}

function stopRecording(): void {
  keepCurrent();
  recorder.stop();
}

function keepCurrent(): void {
  if (recorder.active) keep(recorder.active).catch(() => view.notify(NOT_STORED));
}

function showRecorded(): void {
  const trimS = view.valueOf('trim');
  const keptS = new Map<string, number>();
  for (const take of recorder.takes) {
    keptS.set(take.label, (keptS.get(take.label) ?? 0) + lengthS(take, trimS));
  }
  const label = recorder.active?.label;
  buttons.show(label, keptS);
  const kept = [...keptS].map(([each, lastsS]) => `${each} ${seconds(lastsS)}`).join(', ');
  const now = label === undefined ? undefined : `Recording “${label}”`;
  view.write('recorded', now ?? (kept ? `Recorded: ${kept}` : 'Nothing recorded yet'));
  view.write('locked', now ?? 'Not recording');
  for (const id of ['save-recording', 'save-labels', 'clear']) view.enable(id, keptS.size > 0);
  view.element('command').hidden = keptS.size === 0;
}

function onVisibility(): void {
  if (document.hidden) {
    hidden = { atMs: Date.now(), label: recorder.active?.label };
    stopRecording();
    showRecorded();
  } else if (hidden && trace.length) {
    view.notify(paused(hidden.atMs, Date.now(), hidden.label));
    void keepScreenOn();
  }
}

function addOwn(event: Event): void {
  event.preventDefault();
  const input = view.element('own-label') as HTMLInputElement;
  if (input.value.trim()) buttons.add(input.value.trim());
  input.value = '';
}

function clear(): void {
  if (!confirm('Delete the whole recording and its labels?')) return;
  recorder.clear();
  forget().catch(console.warn);
  showRecorded();
}

function connect(): void {
  view.element('start').addEventListener('click', () => {
    view.enable('start', false);
    view.notify('');
    void sensor.start();
  });
  view.element('own').addEventListener('submit', addOwn);
  view.element('threshold').addEventListener('input', () =>
    view.write('threshold-value', `${view.valueOf('threshold')} %`),
  );
  view.element('trim').addEventListener('change', showRecorded);
  view.element('save-recording').addEventListener('click', () =>
    view.save('recording.csv', recorder.recordingCsv()),
  );
  view.element('save-labels').addEventListener('click', () =>
    view.save('labels.csv', recorder.labelsCsv(view.valueOf('trim'))),
  );
  view.element('clear').addEventListener('click', clear);
  document.addEventListener('visibilitychange', onVisibility);
  connectPocket();
}

async function showEarlier(): Promise<void> {
  const earlier = await restore().catch(() => ({ takes: [], damaged: 0 })); // private tabs have no storage
  if (earlier.damaged) view.notify(DAMAGED);
  if (!earlier.takes.length) return;
  recorder.takes.push(...earlier.takes);
  for (const { label } of earlier.takes) buttons.add(label);
  view.element('record').hidden = false;
  showRecorded();
}

async function main(): Promise<void> {
  connect();
  void watchBattery((share) => view.write('battery', view.percent(share)));
  void keepOffline(() => view.write('offline', 'ready'));
  try {
    setUp(await loadModel());
  } catch (error) {
    console.warn(error);
    view.write('model', 'missing');
    view.write('answer', '–');
    view.notify(NO_MODEL);
  }
  await showEarlier();
}

void main();
