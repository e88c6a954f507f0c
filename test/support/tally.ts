import { relative } from 'node:path';
import type { Reporter, TestCase, TestModule, TestRunEndReason } from 'vitest/node';
import type { Progress } from './progress.ts';

const everyMs = 10_000;

/**
 * Counts what passed and failed, for the last line of `npm test`. A file that could not be loaded, a hook that failed and an error that nobody caught count as
 * failed too: none of them is a failed test to vitest. Where there is no terminal to draw on it says every 10 s what runs.
 */
export class Tally implements Reporter {
  readonly #progress: Progress | undefined;
  readonly #running = new Map<string, { readonly test: TestCase; readonly since: number }>();
  #timer: NodeJS.Timeout | undefined;
  #passed = 0;
  #failed = 0;
  #skipped = 0;
  #otherFailures = 0;
  #reason: TestRunEndReason | undefined;

  constructor(progress: Progress | undefined) {
    this.#progress = progress;
  }

  onTestRunStart(): void {
    this.#timer = setInterval(() => this.#tell(), everyMs);
    this.#timer.unref();
  }

  onTestCaseReady(test: TestCase): void {
    this.#running.set(test.id, { test, since: performance.now() });
  }

  onTestCaseResult(test: TestCase): void {
    this.#running.delete(test.id);
    const { state } = test.result();
    if (state === 'passed') this.#passed++;
    else if (state === 'failed') this.#failed++;
    else this.#skipped++;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[], reason: TestRunEndReason): void {
    clearInterval(this.#timer);
    this.#reason = reason;
    this.#otherFailures = unhandled.length;
    for (const module of modules) {
      if (module.errors().length > 0) this.#otherFailures++;
      for (const suite of module.children.allSuites()) if (suite.errors().length > 0) this.#otherFailures++;
    }
  }

  /** Whether everything that ran passed, and anything ran at all. */
  get succeeded(): boolean {
    return this.#reason === 'passed' && this.#passed > 0 && this.#failed + this.#otherFailures === 0;
  }

  /** `N passed, M failed`, after a line on what was skipped, if any. */
  summary(): string {
    const failed = this.#failed + this.#otherFailures;
    const skipped = this.#skipped === 0 ? '' : `(${this.#skipped} skipped)\n`;
    return `${skipped}${this.#passed} passed, ${failed} failed`;
  }

  #tell(): void {
    if (this.#progress === undefined) return;
    const now = performance.now();
    const long = [...this.#running.values()].filter(({ since }) => now - since > everyMs / 2);
    const names = long.map(({ test, since }) => {
      const file = relative(process.cwd(), test.module.moduleId);
      return `${file} > ${test.fullName} (${Math.round((now - since) / 1000)} s)`;
    });
    this.#progress(
      `... ${this.#passed} passed, ${this.#failed} failed so far${names.length > 0 ? `; running ${names.join(', ')}` : ''}`,
    );
  }
}
