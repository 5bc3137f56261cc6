/** The page: sensor → recognizer and recorder → what is shown. */

import { answersCsv, tabulate, totals } from './answers';
import { Learning } from './learning';
import { CONTRADICTIONS, DAMAGED, FAILURES, IMPOSSIBLE, NO_MODEL, NO_ROTATION } from './messages';
import { inAll, NOT_STORED, paused, seconds, UNLIKE } from './messages';
import { loadModel, type Model } from './model';
import { keepOffline, keepScreenOn, watchBattery } from './phone';
import { connectPocket } from './pocket';
import { isTake, lengthS, Recorder, type Take } from './recorder';
import { Recognizer, type Answer } from './recognizer';
import { Sensor } from './sensor';
import { measureMovement } from './steps';
import { Store, type Series } from './store';
import { isSession, nameOf, Timeline, UNKNOWN } from './timeline';
import * as view from './view';
import { setOf } from './whole';
import type { Sample } from './windows';

const SPAN_S = 300; // of the timeline
const TRACE_S = 5;
const REFRESH_MS = 250;
const KEEP_SAMPLES = 600; // about ten seconds: what is lost where a phone ends the page
const KEEP_ANSWERS = 8;
const SILENT_MS = 2000;
const CORRECTED_S = 5; // or more, so that a whole window is in it
const NOTHING = { series: [], damaged: 0 };

const recorder = new Recorder(performance.timeOrigin);
const takes = new Store<Take>('recording', isTake);
const sessions = new Store('answers', isSession);
const buttons = new view.LabelButtons(tapLabel);
const trace: Sample[] = [];
let seenMs = 0; // when the last sample came
let hidden: { atMs: number; label: string | undefined } | undefined;
let recognizer: Recognizer | undefined;
let learning: Learning | undefined;
let timeline: Timeline | undefined;
let needsRotation = false;
let correctedS = CORRECTED_S;

const sensor = new Sensor({
  ready(hasRotation) {
    recorder.hasRotation = hasRotation;
    for (const id of ['now', 'record', 'taps', 'answers', 'sensors']) view.element(id).hidden = false;
    view.element('intro').hidden = true;
    if (needsRotation && !hasRotation) view.notify(NO_ROTATION);
    void keepScreenOn();
    setInterval(refresh, REFRESH_MS);
  },
  sample(sample) {
    seenMs = performance.now();
    recognizer?.push(sample);
    recorder.push(sample);
    if (recorder.active && recorder.active.rows.length % KEEP_SAMPLES === 0) keep(takes, recorder.active);
    trace.push(sample);
  },
  findImpossible: () => view.notify(IMPOSSIBLE),
  fail(failure) {
    view.notify(FAILURES[failure]);
    view.enable('start', true);
  },
});

async function setUp(model: Model): Promise<void> {
  const { card, adapter } = model;
  const { classes, input, stream } = card;
  const activities = new view.Activities(classes, UNKNOWN);
  const answered = (timeline = new Timeline(adapter.checksum, stream.hop_s));
  answered.sessions.push(...(await restore(sessions))); // before new ones are kept
  const showLast = (nowS: number) => activities.showTimeline(answered.bars(nowS - SPAN_S), nowS);
  const onAnswer = (answer: Answer): void => {
    const session = answered.push(answer);
    if (session.rows.length % KEEP_ANSWERS === 0) keep(sessions, session);
    const { names, best, posterior, startS } = answer;
    const name = nameOf(answer);
    const likeliest = answer.isKnown ? '' : `most likely ${names[best]}, `;
    const scores = answer.corrections ? undefined : adapter.set_scores;
    const others = scores ? setOf(answer.probabilities, scores).filter((each) => each !== best) : [];
    const possible = others.length ? `; may also be ${others.map((each) => names[each]).join(', ')}` : '';
    view.write('answer', name);
    view.write('confidence', likeliest + view.percent(posterior[best]) + possible);
    activities.show(name, names, posterior);
    const { contradiction, isUnlike } = answer;
    view.warn(contradiction ? CONTRADICTIONS[contradiction] : isUnlike ? UNLIKE : undefined);
    showLast(startS + stream.hop_s);
    showAnswered();
  };
  const onError = (error: unknown): void => view.notify(`The model fails: ${String(error)}`);
  const originS = performance.timeOrigin / 1000;
  const own = new Recognizer(model, originS, () => view.valueOf('threshold') / 100, onAnswer, onError);
  recognizer = own;
  needsRotation = input.rotation === 'used';
  const windowS = input.window / input.rate_hz;
  correctedS = Math.max(CORRECTED_S, Math.ceil(1.5 * windowS));
  view.write('corrected-s', String(correctedS));
  learning = new Learning(own, adapter, windowS, (names) => {
    const labels = names.filter((name) => name !== UNKNOWN);
    for (const name of labels) buttons.add(name);
    view.choices('truth', labels);
  });
  const rows = () => tabulate(answered.sessions, adapter, own.learner.chain);
  view.onClick('sum-up', () => {
    const all = rows();
    view.write('totals', inAll(totals(all, stream.hop_s), measureMovement(all, windowS, input.rate_hz)));
  });
  view.onClick('save-answers', () => view.save(view.csvFile('answers.csv', answersCsv(rows()))));
  view.write('model', `${classes.length} activities`);
  await learning.restore();
  if (!answered.sessions.length) return;
  view.element('answers').hidden = false;
  showLast(Date.now() / 1000);
  showAnswered();
}

function refresh(): void {
  const latest = trace.at(-1);
  if (!latest) return;
  while (latest.timeS - trace[0].timeS > TRACE_S) trace.shift();
  const isSilent = performance.now() - seenMs > SILENT_MS;
  const lastsS = latest.timeS - trace[0].timeS;
  const rate = `${Math.round((trace.length - 1) / lastsS)} Hz`;
  if (lastsS > 0) view.write('rate', isSilent ? 'no motion data' : rate);
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

/** The activity that ends is learned. */
function stopRecording(): void {
  const take = recorder.active;
  if (take) keep(takes, take);
  recorder.stop();
  showRecorded();
  if (!take?.rows.length) return;
  const trimS = view.valueOf('trim');
  const [firstS, lastS] = [take.rows[0][0], take.rows[take.rows.length - 1][0]].map((ms) => ms / 1000);
  void learning?.learn(take.label, firstS + trimS, lastS - trimS, trimS);
}

function keep<T extends Series>(store: Store<T>, series: T): void {
  store.keep(series).catch(() => view.notify(NOT_STORED));
}

function showRecorded(): void {
  const trimS = view.valueOf('trim');
  const keptS = new Map<string, number>();
  for (const take of recorder.takes) {
    keptS.set(take.label, (keptS.get(take.label) ?? 0) + lengthS(take, trimS));
  }
  const { active } = recorder;
  buttons.show(active?.label, keptS);
  const kept = [...keptS].map(([each, lastsS]) => `${each} ${seconds(lastsS)}`).join(', ');
  const now = active && `Recording “${active.label}”`;
  view.write('recorded', now ?? (kept ? `Recorded: ${kept}` : 'Nothing recorded yet'));
  view.write('locked', now ?? 'Not recording');
  view.showRecording(active?.label, active ? lengthS(active, 0) : 0);
  const ids = ['share', 'save-recording', 'save-labels', 'remove', 'clear'];
  for (const id of ids) view.enable(id, keptS.size > 0);
  view.element('command').hidden = keptS.size === 0;
}

function showAnswered(): void {
  const hasAnswers = (timeline?.sessions.length ?? 0) > 0;
  for (const id of ['sum-up', 'save-answers', 'clear-answers']) view.enable(id, hasAnswers);
}

function onVisibility(): void {
  if (document.hidden) {
    hidden = { atMs: Date.now(), label: recorder.active?.label };
    stopRecording();
    for (const session of timeline?.sessions ?? []) keep(sessions, session);
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

function correct(event: Event): void {
  event.preventDefault();
  const { value } = view.element('truth') as HTMLSelectElement;
  const nowS = recorder.timeMs(trace.at(-1)?.timeS ?? 0) / 1000;
  void learning?.learn(value, nowS - correctedS, nowS, 0);
}

function removeLast(): void {
  const label = recorder.takes.at(-1)?.label;
  const learned = '“Undo the last” takes back what was learned of it.';
  if (!confirm(`Delete the last recording, “${label}”? ${learned}`)) return;
  const take = recorder.removeLast();
  showRecorded();
  if (take) void takes.remove(take).catch(console.warn);
}

function clear(): void {
  if (!confirm('Delete the whole recording and its labels?')) return;
  recorder.clear();
  void takes.forget().catch(console.warn).then(showRecorded);
}

function clearAnswers(): void {
  if (!confirm('Delete all answers?')) return;
  timeline?.clear();
  view.write('totals', '');
  void sessions.forget().catch(console.warn).then(showAnswered);
}

function recordingFile(): File {
  return view.csvFile('recording.csv', recorder.recordingCsv());
}

function labelsFile(): File {
  return view.csvFile('labels.csv', recorder.labelsCsv(view.valueOf('trim')));
}

function showThreshold(): void {
  view.write('threshold-value', `${view.valueOf('threshold')} %`);
}

function connect(): void {
  view.onClick('start', () => {
    view.enable('start', false);
    view.notify('');
    void sensor.start();
  });
  view.element('own').addEventListener('submit', addOwn);
  view.element('correct').addEventListener('submit', correct);
  ['threshold', 'trim'].forEach(view.keep);
  view.element('threshold').addEventListener('input', showThreshold);
  showThreshold();
  view.element('trim').addEventListener('change', showRecorded);
  view.onClick('stop', stopRecording);
  view.element('share').hidden = !view.canShare([recordingFile(), labelsFile()]);
  view.onClick('share', () => void view.handOver([recordingFile(), labelsFile()]));
  view.onClick('save-recording', () => view.save(recordingFile()));
  view.onClick('save-labels', () => view.save(labelsFile()));
  view.onClick('remove', removeLast);
  view.onClick('clear', clear);
  view.onClick('clear-answers', clearAnswers);
  document.addEventListener('visibilitychange', onVisibility);
  connectPocket();
}

async function showEarlier(): Promise<void> {
  const earlier = await restore(takes);
  if (!earlier.length) return;
  recorder.takes.push(...earlier);
  for (const { label } of earlier) buttons.add(label);
  view.element('record').hidden = false;
  showRecorded();
}

async function restore<T extends Series>(store: Store<T>): Promise<T[]> {
  const { series, damaged } = await store.restore().catch(() => NOTHING); // private tabs have no storage
  if (damaged) view.notify(DAMAGED);
  return series;
}

async function main(): Promise<void> {
  connect();
  void watchBattery((share) => view.write('battery', view.percent(share)));
  void keepOffline(() => view.write('offline', 'ready'));
  await showEarlier(); // before a new recording is kept
  try {
    await setUp(await loadModel());
  } catch (error) {
    console.warn(error);
    view.write('model', 'missing');
    view.write('answer', '–');
    view.notify(NO_MODEL);
  }
}

void main();
