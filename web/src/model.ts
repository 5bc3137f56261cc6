/** The exported model and its card, which lie next to the page. */

import * as ort from 'onnxruntime-web/wasm';
import wasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import type { Signals } from './frame';
import { CHANNELS } from './windows';

export interface Card {
  file: string;
  classes: string[];
  input: { name: string; rate_hz: number; window: number; rotation: 'used' | 'ignored' };
  output: { name: string };
  stream: { hop_s: number; mean_bout_s: number; max_gap_s: number };
  signals: Signals | null;
}

export interface Model {
  card: Card;
  /** Probabilities of the card's classes. */
  run(signal: Float32Array): Promise<number[]>;
}

/** Throws where card or model are missing or cannot be read. */
export async function loadModel(): Promise<Model> {
  const response = await fetch('model.json');
  if (!response.ok) throw new Error(`model.json: ${response.status}`);
  const card = (await response.json()) as Card;
  // One thread: more need headers that a static host does not send, and one window is little work.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm };
  const session = await ort.InferenceSession.create(card.file, { executionProviders: ['wasm'] });
  const run = async (signal: Float32Array): Promise<number[]> => {
    const tensor = new ort.Tensor('float32', signal, [1, card.input.window, CHANNELS]);
    const outputs = await session.run({ [card.input.name]: tensor });
    return Array.from(outputs[card.output.name].data as Float32Array);
  };
  return { card, run };
}
