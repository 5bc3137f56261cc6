/** The adapter with what was learned in its output layer: the two files that `har-jax predict` reads. */

import { xxhash128 } from 'hash-wasm';
import type { Weights } from './output_layer';

const DTYPES: Record<string, string> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  U8: 'uint8',
  I8: 'int8',
  I32: 'int32',
  U32: 'uint32',
};

/** Of adapter.json, what the page reads or changes. */
export interface AdapterCard {
  checksum: string;
  classes: string[];
  temperature: number;
  model: { head: number[] };
  corrections: number;
  adaptation_temperature: number;
  class_logits?: number[][] | undefined; // both are missing where they are unknown
  set_scores?: number[] | undefined;
  class_means?: number[][] | undefined; // of the output layer's inputs
  class_spread?: number | undefined;
  unknown_scores?: number[] | undefined;
  metrics: unknown;
}

interface Changes {
  added: Weights;
  created: readonly string[]; // activities that the adapter does not have
  corrections: number;
}

interface Leaf {
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Contents by name. */
export async function withLearned(
  card: AdapterCard,
  content: ArrayBuffer,
  learned: Changes,
): Promise<Record<string, string | Bytes>> {
  const leaves = read(content);
  const layer = `/head/dense_${card.model.head.length}/`;
  for (const [path, leaf] of leaves) {
    if (path.includes(layer)) leaves.set(path, changed(path, leaf, learned));
  }
  const stored = written(leaves);
  const adapter: AdapterCard & { sums: Record<string, string> } = {
    ...card,
    checksum: await checksum(leaves),
    classes: [...card.classes, ...learned.created],
    corrections: card.corrections + learned.corrections,
    // No window of the training is here to measure these on the changed layer.
    class_logits: undefined,
    set_scores: undefined,
    class_means: undefined,
    class_spread: undefined,
    unknown_scores: undefined,
    metrics: { validation: null },
    sums: { 'adapter.safetensors': await xxhash128(stored) },
  };
  return { 'adapter.safetensors': stored, 'adapter.json': `${JSON.stringify(adapter, null, 1)}\n` };
}

/** The addition, and a column more for each new activity. Throws where a method changes the layer, too. */
function changed(path: string, leaf: Leaf, { added, created }: Pick<Changes, 'added' | 'created'>): Leaf {
  const isBias = path.endsWith('/bias');
  if (leaf.dtype !== 'F32' || !/^params.*(bias|kernel)$/.test(path)) throw new Error(`it has ${path}`);
  const before = leaf.shape[leaf.shape.length - 1];
  const width = before + created.length;
  const rows = leaf.shape.slice(0, -1).reduce((product, size) => product * size, 1);
  const old = new Float32Array(leaf.bytes.slice().buffer);
  const addition = isBias ? added.slice(-1) : added;
  const values = Float32Array.from({ length: rows * width }, (_, index) => {
    const [row, column] = [Math.floor(index / width), index % width];
    return (column < before ? old[row * before + column] : 0) + addition[row][column];
  });
  return { ...leaf, shape: [...leaf.shape.slice(0, -1), width], bytes: new Uint8Array(values.buffer) };
}

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

function read(content: ArrayBuffer): Map<string, Leaf> {
  const size = Number(new DataView(content).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 8, size))) as Header;
  const leaves = Object.entries(header)
    .filter(([path]) => path !== '__metadata__')
    .map(([path, { dtype, shape, data_offsets: [first, stop] }]): [string, Leaf] => [
      path,
      { dtype, shape, bytes: new Uint8Array(content, 8 + size + first, stop - first) },
    ]);
  return new Map(leaves.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function written(leaves: Map<string, Leaf>): Bytes {
  const header: Header = {};
  let size = 0;
  // The widest types come first, so that each number's address is a multiple of its size.
  const ordered = [...leaves].sort(([, a], [, b]) => bits(b.dtype) - bits(a.dtype));
  for (const [path, { dtype, shape, bytes }] of ordered) {
    header[path] = { dtype, shape, data_offsets: [size, size + bytes.length] };
    size += bytes.length;
  }
  const text = JSON.stringify(header);
  const head = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const content = new Uint8Array(8 + head.length + size);
  new DataView(content.buffer).setBigUint64(0, BigInt(head.length), true);
  content.set(head, 8);
  for (const [path, { bytes }] of ordered) content.set(bytes, 8 + head.length + header[path].data_offsets[0]);
  return content;
}

function bits(dtype: string): number {
  return Number(dtype.replace(/\D/g, ''));
}

/** SHA-256 over names, types, shapes and bytes, as har_jax/files/safetensors_io.py. */
async function checksum(leaves: Map<string, Leaf>): Promise<string> {
  const parts = [...leaves].flatMap(([path, { dtype, shape, bytes }]) => [
    new TextEncoder().encode(`${path} ${DTYPES[dtype]}[${shape.join(', ')}]\n`),
    bytes,
  ]);
  const all = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
  return [...digest].map((each) => each.toString(16).padStart(2, '0')).join('');
}
