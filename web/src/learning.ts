/** What the user teaches: shown, kept over reloads, taken back, and saved as an adapter. */

import { withLearned, type AdapterCard } from './adapter';
import type { Learner } from './learner';
import { learnedFrom, NOT_SAVED, NOT_STORED, OTHER_MODEL, tooShort } from './messages';
import { load } from './model';
import type { Recognizer } from './recognizer';
import { learned } from './store';
import * as view from './view';

export class Learning {
  private last: Promise<unknown> = Promise.resolve();

  /** `onNames` is called with all activities after each change. */
  constructor(
    private readonly recognizer: Recognizer,
    private readonly card: AdapterCard,
    private readonly windowS: number,
    private readonly onNames: (names: readonly string[]) => void,
  ) {
    view.onClick('undo', () => void this.change((learner) => learner.undo()));
    view.onClick('forget', () => void this.change((learner) => learner.forget()));
    view.onClick('save-adapter', () => void this.save());
  }

  async restore(): Promise<void> {
    const state = await learned.restore().catch(() => undefined); // private tabs have no storage
    if (state && !this.recognizer.learner.restore(state)) view.notify(OTHER_MODEL);
    this.show();
  }

  /** The activity between two Unix times was this one. `trimS`: what was left out at both ends. */
  async learn(activity: string, fromS: number, toS: number, trimS: number): Promise<void> {
    const isLearned = await this.change((learner) => learner.correct(activity, fromS, toS));
    if (!isLearned) view.notify(tooShort(activity, this.windowS + 2 * trimS));
  }

  /** One change after the other: the page may be reloaded as soon as one is shown, so that is stored. */
  private change(change: (learner: Learner) => boolean): Promise<boolean> {
    const next = this.last.then(() => this.make(change));
    this.last = next.catch(() => undefined);
    return next;
  }

  private async make(change: (learner: Learner) => boolean): Promise<boolean> {
    const isChanged = await this.recognizer.change(change);
    if (isChanged) await learned.keep(this.recognizer.learner.save()).catch(() => view.notify(NOT_STORED));
    this.show();
    return isChanged;
  }

  private show(): void {
    const { corrections, names } = this.recognizer.learner;
    view.write('learned-text', learnedFrom(corrections));
    view.element('learned').hidden = corrections.length === 0;
    this.onNames(names);
  }

  private async save(): Promise<void> {
    const { added, corrections, created } = this.recognizer.learner;
    if (!added) return;
    try {
      const content = await (await load('adapter.safetensors')).arrayBuffer();
      const changes = { added, created, corrections: corrections.length };
      const files = await withLearned(this.card, content, changes);
      await view.handOver(Object.entries(files).map(([name, text]) => new File([text], name)));
    } catch (error) {
      view.notify(`${NOT_SAVED} (${String(error)})`);
    }
  }
}
