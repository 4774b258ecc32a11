// Work that follows what a person does: soon, but never twice at once.

const DEBOUNCE_MS = 20;

/** Runs a task once things have been quiet for a moment; what came while it ran leads to one more run. */
export class Scheduler {
  /**
   * @param {() => Promise<void>} task
   * @param {(milliseconds: number) => void} done is called after each run
   * @param {(error: Error) => void} failed is called with what a run throws
   */
  constructor(task, done, failed) {
    this.task = task;
    this.done = done;
    this.failed = failed;
    this.timer = null;
    this.running = null;
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run().catch(this.failed), DEBOUNCE_MS);
  }

  async run() {
    while (this.running) await this.running.catch(() => {});
    const began = performance.now();
    this.running = this.task();
    try {
      await this.running;
    } finally {
      this.running = null;
    }
    this.done(Math.ceil(performance.now() - began));
  }
}
