/** What a phone has besides its sensors: battery, a screen that stays on, files for offline use. */

interface Battery extends EventTarget {
  level: number;
}

/** Calls with the share that is left, now and whenever it changes; never where the browser hides it. */
export async function watchBattery(onLevel: (share: number) => void): Promise<void> {
  const battery = await (navigator as { getBattery?: () => Promise<Battery> }).getBattery?.();
  if (!battery) return;
  onLevel(battery.level);
  battery.addEventListener('levelchange', () => onLevel(battery.level));
}

/** A dark screen hides the page and ends its motion data. To be called again after the page was hidden. */
export async function keepScreenOn(): Promise<void> {
  try {
    await (navigator as { wakeLock?: WakeLock }).wakeLock?.request('screen');
  } catch {
    // Refused where the battery is low: then the user keeps it on.
  }
}

/** Calls when all files are in the phone. */
export async function keepOffline(onReady: () => void): Promise<void> {
  const workers = (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker;
  if (!workers) return;
  try {
    await workers.register('./service_worker.js');
    await workers.ready;
    onReady();
  } catch {
    // Private tabs refuse it: the page works as long as the host answers.
  }
}
