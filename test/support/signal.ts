/** Waiting for things to happen, without sleeping: conditions are looked at again whenever something did happen. */

/** How long anything may take on a busy machine before a test gives up. */
export const LIMIT_MS = 45000;

export class Signal {
  readonly #checks = new Set<() => void>();

  /** Something happened. */
  notify(): void {
    for (const check of [...this.#checks]) check();
  }

  /** Resolves as soon as `condition` holds; rejects, saying what was waited for, when it takes too long. */
  until(condition: () => boolean, what: () => string, limitMs = LIMIT_MS): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#checks.delete(check);
        clearTimeout(timer);
      };
      const check = (): void => {
        try {
          if (!condition()) return;
          end();
          resolve();
        } catch (error) {
          end();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`not within ${limitMs} ms: ${what()}`));
      }, limitMs);
      this.#checks.add(check);
      check();
    });
  }
}
