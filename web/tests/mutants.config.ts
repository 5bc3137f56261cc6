import { mergeConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import page from '../vite.config';

/** Tests without Chromium come first: they are fast. */
class ChromiumLast extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isPage = ({ moduleId }: TestSpecification): number => Number(moduleId.endsWith('page.test.ts'));
    return Promise.resolve(files.sort((a, b) => isPage(a) - isPage(b)));
  }
}

export default mergeConfig(page, {
  test: { exclude: ['tests/report.test.ts'], testTimeout: 60_000, sequence: { sequencer: ChromiumLast } },
});
