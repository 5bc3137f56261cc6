/** A black screen over the page, which nothing but a long press removes: a pocket taps, too. */

import { element } from './view';

const HOLD_MS = 1000;

export function connectPocket(): void {
  const dialog = element('pocket') as HTMLDialogElement;
  const unlock = element('unlock');
  let timer = 0;
  let isLocked = false;
  const release = (): void => {
    isLocked = false;
    dialog.close();
  };
  element('lock').addEventListener('click', () => {
    isLocked = true;
    dialog.showModal();
  });
  // Escape, or a phone's gesture to go back. A browser lets a page cancel it once only.
  dialog.addEventListener('close', () => {
    if (isLocked) dialog.showModal();
  });
  unlock.addEventListener('pointerdown', () => {
    timer = window.setTimeout(release, HOLD_MS);
  });
  for (const end of ['pointerup', 'pointercancel', 'pointerleave']) {
    unlock.addEventListener(end, () => clearTimeout(timer));
  }
  // A keyboard or a screen reader presses without a pointer; neither happens in a pocket.
  unlock.addEventListener('click', (event) => {
    if (event.detail === 0) release();
  });
}
