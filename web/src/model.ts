/** The exported model and its card, which lie next to the page. */

import * as ort from 'onnxruntime-web/wasm';
import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import type { AdapterCard } from './adapter';
import type { Signals } from './frame';
import { CHANNELS } from './windows';

export interface Card {
  file: string;
  classes: string[];
  input: { name: string; rate_hz: number; window: number; rotation: 'used' | 'ignored' };
  stream: { hop_s: number; mean_bout_s: number; max_gap_s: number };
  signals: Signals | null;
}

export interface Model {
  card: Card;
  adapter: AdapterCard;
  /** The output layer's inputs, and its logits of the card's classes. */
  run(signal: Float32Array): Promise<{ hidden: number[]; logits: number[] }>;
}

/** Throws where card or model are missing or cannot be read. */
export async function loadModel(): Promise<Model> {
  const read = (await (await load('model.json')).json()) as Card;
  const card = { ...read, classes: read.classes.map(String) }; // labels may be numbers
  const adapter = (await (await load('adapter.json')).json()) as AdapterCard;
  // One thread: more need headers that a static host does not send, and one window is little work.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm };
  const session = await ort.InferenceSession.create(card.file, { executionProviders: ['wasm'] });
  const run: Model['run'] = async (signal) => {
    const tensor = new ort.Tensor('float32', signal, [1, card.input.window, CHANNELS]);
    const outputs = await session.run({ [card.input.name]: tensor });
    const valuesOf = (name: string): number[] => [...(outputs[name].data as Float32Array)];
    return { hidden: valuesOf('hidden'), logits: valuesOf('raw_logits') };
  };
  return { card, adapter, run };
}

/** A file next to the page. Throws where it is missing. */
export async function load(name: string): Promise<Response> {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return response;
}
